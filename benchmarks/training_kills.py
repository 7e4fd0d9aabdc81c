"""Trainings whose processes are killed at random steps: the figures and weights at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from benchmarks.figures import Figure
from tests.hub_process import running_hub
from tests.killed_training import KilledTraining


def killed_trainings(kills: int, seed: int = 0) -> Iterable[Figure]:
    """So many kills of trainer, worker and web, spread over jobs with the same settings."""
    with running_hub({"MLXHUB_STARTER": "false"}) as hub:
        outcome = KilledTraining(hub, seed).run(kills)
    for problem in outcome.problems:
        print(problem, file=sys.stderr)
    killed = ", ".join(f"{whom} {count}" for whom, count in sorted(outcome.kills.items()))
    yield Figure(
        f"jobs as if nobody had been killed ({killed})",
        outcome.jobs if not outcome.problems else 0,
        outcome.jobs,
        "",
        at_least=1.0,
    )
