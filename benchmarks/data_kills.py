"""Data whose web or worker process is killed: what each dataset stands for, and what is left over."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.figures import Figure
from tests.killed_data import KilledData

ROWS = 20_000


def killed_data(kills: int, seed: int = 0) -> Iterable[Figure]:
    """So many kills of a real web and worker, spread over uploads, imports, checks and edits."""
    with tempfile.TemporaryDirectory(prefix="mlxhub-") as home:
        outcome = KilledData(Path(home), ROWS, seed).run(kills)
    for problem in outcome.problems:
        print(problem, file=sys.stderr)
    for moment, count in sorted(Counter(outcome.moments).items()):
        print(f"killed {count} times: {moment}", file=sys.stderr)
    wrong = len({problem.partition(":")[0] for problem in outcome.problems})
    yield Figure(
        "kills after which every dataset is at a whole version and nothing is left",
        outcome.kills - wrong,
        outcome.kills,
        "",
        at_least=1.0,
    )
    in_midst = sum(
        moment.startswith("worker") and "end" not in moment for moment in outcome.moments
    )
    yield Figure(
        "jobs that another worker brought to their end, of those begun",
        outcome.resumed,
        max(in_midst, 1),
        "",
        at_least=1.0,
    )
