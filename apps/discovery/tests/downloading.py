"""Downloads as the tests order and run them, in the test's own process."""

from __future__ import annotations

import threading
from pathlib import Path

from apps.discovery.downloads import services
from apps.discovery.downloads.models import Download
from apps.discovery.downloads.running import run_download
from apps.discovery.tests.conftest import REPO
from apps.jobs.models import JobState

SLUG = "tiny-llama"


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
