"""Downloads whose worker is killed at random bytes: the hashes at the end, and what is left over."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from apps.discovery.tests.hub_server import HubServer
from apps.inference.engine.tests.tiny import write_tiny_model
from benchmarks.figures import Figure
from tests.killed_worker import KilledWorker


def killed_worker(kills: int, seed: int = 0) -> Iterable[Figure]:
    """So many kills of a real worker, spread over downloads of a small model from a loopback hub."""
    with tempfile.TemporaryDirectory(prefix="mlxhub-") as folder, HubServer() as server:
        model = write_tiny_model(Path(folder) / "model")
        files = {path.name: path.read_bytes() for path in model.iterdir()}
        home = Path(folder) / "hub"
        home.mkdir()
        outcome = KilledWorker(home, server, files, seed).run(kills)
    for problem in outcome.problems:
        print(problem, file=sys.stderr)
    yield Figure(
        f"downloads that are right after {outcome.kills} kills, of those begun",
        outcome.downloads if not outcome.problems else 0,
        outcome.downloads,
        "",
        at_least=1.0,
    )
    yield Figure(
        "answers gone on with in mid-file, of the kills",
        outcome.resumed,
        outcome.kills,
        "",
        at_least=0.5,
    )
