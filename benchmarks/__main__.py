"""`python -m benchmarks`: start the servers, measure, compare with the targets."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks import comparison, measures
from benchmarks.bare_loop import bare_loop
from benchmarks.figures import Figure
from benchmarks.hub import benchmark_hub
from benchmarks.mlx_lm_server import mlx_lm_server


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", nargs="?", choices=["hub", "servers"], default="hub")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per figure (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()

    figures: list[Figure] = []
    suite = hub_suite if options.suite == "hub" else servers_suite
    for figure in suite(options.rounds):
        print(figure, flush=True)
        figures.append(figure)
    if options.json:
        options.json.write_text(json.dumps([_plain(figure) for figure in figures], indent=2))
    return 0 if all(figure.holds for figure in figures) else 1


def hub_suite(rounds: int) -> Iterable[Figure]:
    """What the prompt cache gives, and what the hub's processes cost."""
    with benchmark_hub() as (hub, model), bare_loop(model) as loop:
        yield from measures.warm_prompt(hub, rounds)
        yield from measures.decode(hub, loop, rounds)


def servers_suite(rounds: int) -> Iterable[Figure]:
    """The hub beside mlx-lm's server."""
    with benchmark_hub() as (hub, model), mlx_lm_server(model) as other:
        yield from comparison.time_to_first_token(hub, other, rounds)
        yield from comparison.throughput(hub, other, rounds)


def _plain(figure: Figure) -> dict[str, float | str | bool]:
    return {
        "name": figure.name,
        "ours": figure.ours,
        "theirs": figure.theirs,
        "unit": figure.unit,
        "ratio": figure.ratio,
        "target": figure.target,
        "holds": figure.holds,
    }


if __name__ == "__main__":
    sys.exit(main())
