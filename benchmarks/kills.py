"""A hub under mixed load whose processes are killed for minutes: what is lost, and how it comes back."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from benchmarks.figures import Figure
from tests.killed_hub import READY_SECONDS, KilledHub, killable_hub


def kills(seconds: float, seed: int = 0) -> Iterable[Figure]:
    """So many seconds of kills of web, engine, worker, trainer and supervisor."""
    with killable_hub() as hub:
        outcome = KilledHub(hub, seed).run(seconds)
    for problem in outcome.problems:
        print(problem, file=sys.stderr)
    for title in ("kills", "requests", "kept"):
        counts = sorted(getattr(outcome, title).items())
        print(f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in counts))
    made = outcome.kills.total()
    yield Figure("kills that cost something", len(outcome.problems), made, "", at_most=0.0)
    for whom, needed in outcome.ready_after.items():
        yield Figure(f"ready again after {whom}", needed, READY_SECONDS, "s", at_most=1.0)
