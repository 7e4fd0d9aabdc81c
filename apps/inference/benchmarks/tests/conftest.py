"""The worker's queue, as these tests need it."""

from __future__ import annotations

import pytest

from apps.inference.benchmarks import tasks


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the runs that were given to the worker, which does not run here."""
    keys: list[int] = []
    monkeypatch.setattr(tasks, "run_benchmark", keys.append)
    return keys
