"""Benchmark runs for the registry, without measuring anything."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.inference.benchmarks.measuring.client import Answer
from apps.inference.benchmarks.measuring.figures import TURNS, Figures, first_token, throughput
from apps.inference.benchmarks.measuring.plan import QUICK
from apps.inference.models import BenchmarkRun


def figures(*, speed: float = 1.0) -> Figures:
    """Plausible figures of one round; twice the ``speed``, half the times."""

    def answer(first: float) -> Answer:
        times = [(first + 0.1 * number) / speed for number in range(5)]
        return Answer(0.0, times, prompt_tokens=500, completion_tokens=5, cached_tokens=480)

    return Figures(
        first_token=tuple(
            first_token(turn, [answer(seconds)])
            for turn, seconds in zip(TURNS, (2.0, 0.04, 0.03, 0.06), strict=True)
        ),
        throughput=tuple(throughput(count, [[answer(0.2)] * count]) for count in (1, 4)),
    )


def make_run(state: str = "done", *, speed: float = 1.0, **fields: Any) -> BenchmarkRun:
    """A run in this state; ``fields`` replace what it has by default."""
    now = timezone.now()
    values: dict[str, Any] = {
        "model_name": "tiny",
        "model_digest": "digest-tiny",
        "parameters": 1_000_000,
        "plan": QUICK.model_dump(mode="json"),
        "state": state,
        "steps_total": 7,
    }
    if state != "queued":
        values |= {"started_at": now, "seen_at": now}
    if state not in ("queued", "running"):
        values["finished_at"] = now
    if state == "done":
        values |= {
            "figures": figures(speed=speed).model_dump(mode="json"),
            "peak_memory_bytes": 2 * 1024**3,
            "steps_done": 7,
        }
    return BenchmarkRun.objects.create(**(values | fields))
