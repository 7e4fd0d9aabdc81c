"""`python -m benchmarks`: start the servers, measure, compare with the targets."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import cache, company, comparison, faults, measures
from benchmarks.bare_loop import bare_loop
from benchmarks.figures import Figure
from benchmarks.hub import benchmark_hub
from benchmarks.mlx_lm_server import mlx_lm_server


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", nargs="?", choices=SUITES, default="hub")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per figure (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()

    figures: list[Figure] = []
    for figure in SUITES[options.suite](options.rounds):
        print(figure, flush=True)
        figures.append(figure)
    if options.json:
        options.json.write_text(json.dumps([_plain(figure) for figure in figures], indent=2))
    return 0 if all(figure.holds for figure in figures) else 1


def hub_suite(rounds: int) -> Iterable[Figure]:
    """What the prompt cache gives, and what the hub's processes cost."""
    with benchmark_hub() as (hub, process), bare_loop(process.starter) as loop:
        yield from measures.warm_prompt(hub, rounds)
        yield from measures.decode(hub, loop, rounds)


def servers_suite(rounds: int) -> Iterable[Figure]:
    """The hub beside mlx-lm's server."""
    with benchmark_hub() as (hub, process):
        with mlx_lm_server(process.starter) as other:
            yield from comparison.time_to_first_token(hub, other, rounds)
            yield from comparison.throughput(hub, other, rounds)
        with mlx_lm_server(process.starter, as_installed=True) as other:
            yield from comparison.prefill(hub, other, rounds)


def company_suite(rounds: int) -> Iterable[Figure]:
    """Many clients, clients that leave, and memory over a long time."""
    with benchmark_hub() as (hub, process):
        yield from company.long_prompt_among_streams(hub, rounds)
        yield from company.leaving_clients(hub, process)
    with benchmark_hub() as (hub, process):
        yield from company.long_service(hub, process)


def cache_suite(rounds: int) -> Iterable[Figure]:
    """What many conversations hold together, and what a crash leaves."""
    with benchmark_hub(cache.SHARING) as (hub, process):
        yield from cache.shared_system_prompt(hub, process)
    with benchmark_hub() as (hub, process):
        yield from cache.after_a_crash(hub, process, rounds)


def faults_suite(rounds: int) -> Iterable[Figure]:
    """Two hundred damages to the cache's folder a round."""
    yield from faults.disk_faults(200 * rounds)


SUITES: dict[str, Callable[[int], Iterable[Figure]]] = {
    "hub": hub_suite,
    "servers": servers_suite,
    "company": company_suite,
    "cache": cache_suite,
    "faults": faults_suite,
}


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
