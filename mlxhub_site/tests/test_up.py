"""What `mlx-hub up` says while its processes get ready."""

from __future__ import annotations

from pathlib import Path

from mlxhub_site.supervisor.logs import ProcessLog
from mlxhub_site.supervisor.up import _reporting


def test_the_address_is_told_once_the_first_page_answers(tmp_path: Path) -> None:
    said: list[str] = []
    log = ProcessLog(tmp_path / "hub.log")
    report = _reporting(said.append, log, open_hub=lambda: said.append("Open it"))
    for name, state in (
        ("engine", "ready"), ("web", "starting"), ("web", "ready"), ("worker", "starting"),
        ("web", "replacing"), ("web", "ready"),
    ):  # fmt: skip
        report(name, state, "")
    log.end()
    assert said == [
        "engine   ready", "web      starting", "web      ready", "Open it", "worker   starting",
        "web      replacing", "web      ready",
    ]  # fmt: skip
    assert "Open it" not in (tmp_path / "hub.log").read_text()
