"""``python -m apps.models.runtime.work``, for real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from apps.models.runtime.work.events import Failed, Finished, Progress, event_adapter
from apps.models.runtime.work.orders import ConvertOrder, Quantization

COMMAND = [sys.executable, "-m", "apps.models.runtime.work"]


def run(order: str) -> tuple[int, list[object]]:
    """Exit status and events; the input stays open until the process has ended."""
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(f"{order}\n".encode())
        process.stdin.flush()
        events = [event_adapter.validate_json(line) for line in process.stdout]
        return process.wait(), events


def test_an_order_ends_in_a_folder_and_its_figures(source: Path) -> None:
    destination = source.with_name("out")
    order = ConvertOrder(
        source=source,
        destination=destination,
        quantization=Quantization(bits=4, group_size=32),
        measure=False,
    )

    status, events = run(order.model_dump_json())

    assert status == 0
    assert isinstance(events[-1], Finished)
    assert all(isinstance(event, Progress) for event in events[:-1])
    assert (destination / "model.safetensors").is_file()


def test_a_fault_is_told_as_an_event(tmp_path: Path) -> None:
    order = ConvertOrder(source=tmp_path / "absent", destination=tmp_path / "out")

    status, events = run(order.model_dump_json())

    assert status == 1
    assert isinstance(events[-1], Failed)
    assert "absent" in events[-1].message


def test_it_ends_when_nobody_is_there_to_take_the_result(source: Path) -> None:
    order = ConvertOrder(source=source, destination=source.with_name("out"))
    done = subprocess.run(
        COMMAND, input=f"{order.model_dump_json()}\n", text=True, capture_output=True, check=False
    )

    assert done.returncode == 1
    assert not source.with_name("out").exists()


def test_what_is_no_order_is_refused() -> None:
    status, events = run('{"task": "format"}')

    assert (status, events) == (2, [])
