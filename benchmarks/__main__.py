"""`python -m benchmarks`: start the servers, measure, compare with the targets."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import (
    adapters,
    cache,
    company,
    comparison,
    constrained,
    data,
    data_kills,
    downloads,
    faults,
    glosses,
    kills,
    measures,
    overload,
    registry,
    schemas,
    training,
    training_kills,
    training_metrics,
)
from benchmarks.bare_loop import bare_loop
from benchmarks.figures import Figure
from benchmarks.fit import fits
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


def overload_suite(rounds: int) -> Iterable[Figure]:
    """Ten times the requests that the hub can answer."""
    yield from overload.overload_figures(rounds)


def faults_suite(rounds: int) -> Iterable[Figure]:
    """Two hundred damages to the cache's folder a round."""
    yield from faults.disk_faults(200 * rounds)


def schemas_suite(rounds: int) -> Iterable[Figure]:
    """A hundred random schemas and twenty forced tool calls a round: 500 and 100."""
    with benchmark_hub({"MLXHUB_MAX_BATCH": str(schemas.AT_ONCE)}) as (hub, _):
        yield from schemas.schema_figures(hub, 100 * rounds)
        yield from schemas.tool_figures(hub, 20 * rounds)


def constrained_suite(rounds: int) -> Iterable[Figure]:
    """What answers that keep to a JSON Schema cost."""
    with benchmark_hub() as (hub, _):
        yield from constrained.decode_with_a_schema(hub, rounds)


def downloads_suite(rounds: int) -> Iterable[Figure]:
    """Ten kills of the worker a round, while it downloads: 50."""
    yield from downloads.killed_worker(10 * rounds)


def registry_suite(rounds: int) -> Iterable[Figure]:
    """How fast a registry of 5,000 models is listed, searched and sorted."""
    yield from registry.list_figures(rounds)


def data_suite(rounds: int) -> Iterable[Figure]:
    """A million rows imported, checked and searched. One round is minutes: it is enough."""
    yield from data.data_figures()


def adapters_suite(rounds: int) -> Iterable[Figure]:
    """Eight adapters in one batch."""
    yield from adapters.adapter_figures(rounds)


def training_suite(rounds: int) -> Iterable[Figure]:
    """The trainer beside mlx-lm's."""
    yield from training.throughput(rounds)


def glosses_suite(rounds: int) -> Iterable[Figure]:
    """From a file to a served adapter. One round is a quarter of an hour: it is enough."""
    yield from glosses.gloss_figures()


def training_kills_suite(rounds: int) -> Iterable[Figure]:
    """Ten kills of trainer, worker and web a round, while they train: 50."""
    yield from training_kills.killed_trainings(10 * rounds)


def kills_suite(rounds: int) -> Iterable[Figure]:
    """Two minutes of kills a round, of every process, under mixed load: 10."""
    yield from kills.kills(120.0 * rounds)


def data_kills_suite(rounds: int) -> Iterable[Figure]:
    """Ten kills of web or worker a round, while data is uploaded, checked and edited: 50."""
    yield from data_kills.killed_data(10 * rounds)


def training_metrics_suite(rounds: int) -> Iterable[Figure]:
    """How fast the curves of a million points are answered, their spikes included."""
    yield from training_metrics.chart_figures(rounds)


def fit_suite(rounds: int) -> Iterable[Figure]:
    """Estimated against measured memory. A peak hardly varies, so one round is enough."""
    yield from fits()


SUITES: dict[str, Callable[[int], Iterable[Figure]]] = {
    "hub": hub_suite,
    "servers": servers_suite,
    "company": company_suite,
    "cache": cache_suite,
    "overload": overload_suite,
    "faults": faults_suite,
    "fit": fit_suite,
    "schemas": schemas_suite,
    "constrained": constrained_suite,
    "downloads": downloads_suite,
    "registry": registry_suite,
    "data": data_suite,
    "kills": kills_suite,
    "data-kills": data_kills_suite,
    "adapters": adapters_suite,
    "training": training_suite,
    "glosses": glosses_suite,
    "training-kills": training_kills_suite,
    "training-metrics": training_metrics_suite,
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
