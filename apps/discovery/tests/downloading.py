"""Downloads as the tests order and run them, in the test's own process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from apps.discovery import hub
from apps.discovery.downloads import services, tasks, watching
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.running import run_download
from apps.discovery.tests.conftest import REPO
from apps.jobs.models import JobState

SLUG = "tiny-llama"

WORK_OFF = tasks.work_off_downloads.call_local
"""What the worker does when it is woken up; the fixture ``woken`` has it only noted."""


def order(repo_id: str = REPO, **options: str) -> Download:
    """A queued download."""
    download = services.start(repo_id=repo_id, **options).download
    assert download is not None
    return download


def run(download: Download, stops: threading.Event | None = None) -> Download:
    """Run it as a worker would; its row afterwards."""
    run_download(download, worker_stops=stops or threading.Event(), stopped_as=JobState.QUEUED)
    return download


def pull(repo_id: str = REPO, **options: str) -> Download:
    return run(order(repo_id, **options))


def visible(folder: Path) -> set[str]:
    """What lies in the models folder, locks left out: those stay."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def interrupt_at(monkeypatch: pytest.MonkeyPatch, share: float, end: BaseException) -> None:
    """Raise ``end`` once so much of the next transfer is here."""
    real = watching.Watch.on_step

    def on_step(self: Any, step: hub.Step) -> None:
        real(self, step)
        if step.done > share * self._total:
            monkeypatch.setattr(watching.Watch, "on_step", real)
            raise end

    monkeypatch.setattr(watching.Watch, "on_step", on_step)
