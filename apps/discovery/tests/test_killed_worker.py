"""A download survives any number of ends of the worker's process."""

from __future__ import annotations

from pathlib import Path

from apps.discovery.tests.conftest import KEPT
from apps.discovery.tests.hub_server import HubServer
from tests.killed_worker import KilledWorker


def test_a_worker_that_is_killed_in_mid_download_goes_on_and_leaves_nothing_over(
    hub_server: HubServer, tiny_files: dict[str, bytes], tmp_path: Path
) -> None:
    files = {name: tiny_files[name] for name in KEPT}

    outcome = KilledWorker(tmp_path, hub_server, files, seed=1).run(kills=5)

    assert outcome.problems == []
    assert outcome.kills == 5
    assert outcome.resumed >= 3
