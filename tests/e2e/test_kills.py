"""A minute of kills under mixed load: nothing that was acknowledged is lost, or there twice."""

from __future__ import annotations

from tests.killed_hub import READY_SECONDS, KilledHub, killable_hub

SECONDS = 60.0


def test_a_hub_whose_processes_are_killed_all_the_time_loses_nothing_and_comes_back() -> None:
    with killable_hub() as hub:
        outcome = KilledHub(hub, seed=0).run(SECONDS)
    assert outcome.problems == []
    assert outcome.kills.total() > 5
    assert all(outcome.kept.values()), outcome.kept
    # The benchmark has the strict limit: a machine that runs tests is busy with others.
    assert max(outcome.ready_after.values()) < 3 * READY_SECONDS, outcome.ready_after
