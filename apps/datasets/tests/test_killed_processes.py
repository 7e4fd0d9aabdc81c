"""A dataset survives any number of ends of the processes that work at it."""

from __future__ import annotations

from pathlib import Path

from tests.killed_data import KilledData


def test_uploads_checks_and_edits_whose_process_is_killed_leave_whole_versions(
    tmp_path: Path,
) -> None:
    outcome = KilledData(tmp_path, rows=3_000, seed=1).run(kills=3)

    assert outcome.problems == []
    assert outcome.kills == 3
