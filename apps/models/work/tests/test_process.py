"""The work process as the worker sees it; a small script stands in for the real one."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest
from pytest_django.fixtures import Settings

from apps.jobs.conduct import JobEnds
from apps.jobs.models import JobState
from apps.models.errors import WorkFailed
from apps.models.runtime.work.orders import GgufOrder, Order
from apps.models.work import process

ORDER = GgufOrder(source=Path("/a"), destination=Path("/b"))


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What runs in place of the work module."""
    package = tmp_path / "stand_in.py"
    monkeypatch.setattr(process, "MODULE", "stand_in")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)
    return package


def reported(order: Order = ORDER) -> list[tuple[str, float]]:
    heard: list[tuple[str, float]] = []

    def report(doing: str, fraction: float, **fields: object) -> None:
        heard.append((doing, fraction))

    process.carry_out(order, report)
    return heard


def test_progress_is_passed_on_and_figures_are_the_answer(script: Path) -> None:
    script.write_text(
        "import sys\n"
        "order = sys.stdin.readline()\n"
        'assert \'"task":"gguf"\' in order\n'
        'print(\'{"event": "progress", "doing": "writing", "fraction": 0.5}\', flush=True)\n'
        'print(\'{"event": "finished", "figures": {"size_bytes": 7}}\', flush=True)\n'
    )
    heard: list[str] = []

    figures = process.carry_out(ORDER, lambda doing, fraction, **fields: heard.append(doing))

    assert figures.size_bytes == 7
    assert heard[0] == "starting"
    assert heard[-1] == "writing"


def test_a_fault_is_raised_with_its_message(script: Path) -> None:
    script.write_text(
        'print(\'{"event": "failed", "message": "No room. Make some."}\', flush=True)'
    )

    with pytest.raises(WorkFailed, match=r"No room\. Make some\."):
        reported()


def test_a_process_that_dies_says_where_to_look(script: Path, settings: Settings) -> None:
    script.write_text("import os, sys; sys.stderr.write('killed\\n'); os._exit(9)")

    with pytest.raises(WorkFailed, match="ended without a word"):
        reported()

    assert (settings.HUB.logs_dir / process.LOG_NAME).read_text() == "killed\n"


def test_half_a_line_of_a_killed_process_is_passed_over(script: Path) -> None:
    script.write_text('import sys; sys.stdout.write(\'{"event": "fini\'); sys.stdout.flush()')

    with pytest.raises(WorkFailed, match="ended without a word"):
        reported()


def test_a_process_that_says_what_is_no_event_fails_its_job(
    script: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script.write_text("print('loading weights', flush=True); import sys; sys.stdin.read()")

    with pytest.raises(WorkFailed, match="ended without a word"):
        reported()

    assert "what is no event" in caplog.text


def test_a_cancelled_job_ends_its_process_even_one_that_is_silent(
    script: Path, tmp_path: Path
) -> None:
    script.write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )

    def cancelled_once_it_runs(doing: str, fraction: float, **fields: object) -> None:
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            raise JobEnds(JobState.CANCELLED)

    begun = time.monotonic()
    with pytest.raises(JobEnds):
        process.carry_out(ORDER, cancelled_once_it_runs)

    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert time.monotonic() - begun < 60


def test_what_a_cancelled_process_had_written_is_removed(script: Path, tmp_path: Path) -> None:
    script.write_text(
        "import os, pathlib, sys\n"
        f"folder = pathlib.Path({str(tmp_path)!r}, f'.out.gguf.importing-{{os.getpid()}}-x')\n"
        "folder.mkdir()\n"
        "(folder / 'out.gguf').write_bytes(bytes(1000))\n"
        "sys.stdin.readline()\n"
        "sys.stdin.read()\n"
        "os._exit(1)\n"
    )

    def cancelled_once_something_is_there(doing: str, fraction: float, **fields: object) -> None:
        if list(tmp_path.glob(".out.gguf.importing-*/out.gguf")):
            raise JobEnds(JobState.CANCELLED)

    order = GgufOrder(source=Path("/a"), destination=tmp_path / "out.gguf")
    with pytest.raises(JobEnds):
        process.carry_out(order, cancelled_once_something_is_there)

    assert [path.name for path in tmp_path.iterdir() if "importing" in path.name] == []


def test_it_is_this_interpreter_that_works(script: Path, tmp_path: Path) -> None:
    script.write_text(
        "import sys, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'who')!r}).write_text(sys.executable)\n"
        'print(\'{"event": "finished", "figures": {}}\', flush=True)\n'
    )
    reported()

    assert (tmp_path / "who").read_text() == sys.executable
