"""A job's run as its page shows it: figures, answers side by side, best and worst rows."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.template.defaultfilters import filesizeformat

from apps.rendering.tiles import Tile
from apps.training.models import Metric, Sample, TrainingJob
from apps.training.safer import Remedy, remedy
from apps.training.sources import name_of

SHOWN_STEPS = 4
"""Evaluations whose answers stand side by side: the first, and the newest ones."""

ROW_CHARACTERS = 600
"""Of a validation row."""

LONGEST_LINE = 1_000_000

NOT_YET = "none yet"
"""Of a figure that no report told."""


@dataclass(frozen=True)
class Answers:
    """What the model answered to one prompt, by step."""

    prompt: str
    by_step: list[tuple[int, str]]


@dataclass(frozen=True)
class JudgedRow:
    number: int
    """Line in valid.jsonl, from 1."""
    loss: float
    text: str


def tiles_of(job: TrainingJob) -> list[Tile]:
    """The newest figures of a run; none before it has begun."""
    if not job.facts:
        return []
    last = {name: Metric.objects.series(job, name).last() for name in Metric.Name.values}
    loss, valid = last[Metric.Name.LOSS], last[Metric.Name.VALIDATION]
    best = Metric.objects.series(job, Metric.Name.VALIDATION).order_by("value").first()
    speed, memory = last[Metric.Name.SPEED], last[Metric.Name.MEMORY]
    left = _seconds_left(job, last[Metric.Name.SECONDS])
    tiles = [
        Tile("Step", f"{job.step:,}", f"of {job.steps:,}"),
        Tile("Training loss", _figure(loss), "mean since the last report"),
        _validation_tile(job, valid, best),
        Tile("Speed", _figure(speed, ",.0f"), "trained tokens/s"),
        Tile(
            "Memory",
            str(filesizeformat(memory.value)) if memory else NOT_YET,
            "peak since the last start",
        ),
    ]
    if job.test:
        tiles.append(_test_tile(job))
    if left is not None and job.is_active:
        tiles.append(Tile("Left", duration(left), "without evaluations"))
    return tiles


def perplexity_of(job: TrainingJob) -> float | None:
    """On the test rows; None where it was not measured, or the loss is no cross entropy."""
    if not job.test or job.config.objective != "sft":
        return None
    try:
        return math.exp(job.test["loss"])
    except OverflowError:
        return None  # JSON has no word for more than a number can hold


def _test_tile(job: TrainingJob) -> Tile:
    rows, perplexity = job.test["rows"], perplexity_of(job)
    of = f"{rows:,} test row{'' if rows == 1 else 's'}"
    note = of if perplexity is None else f"perplexity {perplexity:,.2f}, {of}"
    return Tile("Test loss", f"{job.test['loss']:.3f}", note)


def duration(seconds: float) -> str:
    """``50 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def remedy_of(job: TrainingJob) -> Remedy | None:
    """Safer settings for a job that failed; None where none are known."""
    broken = job.state in (job.State.FAILED, job.State.INTERRUPTED)
    return remedy(job.config, job.fault) if broken else None


def told_of(job: TrainingJob) -> dict[str, str]:
    """What its row says of an end before its time; the trainer's last lines by themselves."""
    head, _, lines = job.error.partition("\n")
    title = "It was interrupted, and goes on by itself" if job.is_active else "It was interrupted"
    return {"interrupted_title": title, "error_head": head, "error_lines": lines}


def answers_of(job: TrainingJob) -> list[Answers]:
    """One for each prompt: its first answer and the newest ones."""
    steps = sorted(Sample.objects.filter(job=job).values_list("step", flat=True).distinct())
    if not steps:
        return []
    shown = {steps[0], *steps[1 - SHOWN_STEPS :]}
    found: dict[int, list[tuple[int, str]]] = {}
    for sample in Sample.objects.filter(job=job, step__in=shown):
        found.setdefault(sample.prompt, []).append((sample.step, sample.text))
    prompts: list[str] = job.settings.get("prompts", [])
    return [
        Answers(prompts[number], answers)
        for number, answers in sorted(found.items())
        if number < len(prompts)
    ]


def judged_rows(job: TrainingJob) -> dict[str, Any]:
    """The best and worst predicted rows of the newest evaluation; empty before the first."""
    if not job.rows:
        return {}
    kinds = ("worst_rows", "best_rows")
    wanted = {row["row"] for kind in kinds for row in job.rows.get(kind, ())}
    texts = dict(_lines(Path(job.data) / "valid.jsonl", wanted))
    return {"step": job.rows["step"]} | {
        kind: [
            JudgedRow(row["row"] + 1, row["loss"], texts.get(row["row"], "It can't be read now."))
            for row in job.rows.get(kind, ())
        ]
        for kind in kinds
    }


def command_of(job: TrainingJob) -> str:
    """The command that orders the same from a terminal, beside a file with its settings."""
    base = job.base.slug if job.base else job.base_name
    data = name_of(job.dataset) if job.dataset else job.data
    words = ("mlx-hub", "train", base, "--data", data, "--name", job.name)
    return f"{shlex.join(words)} --config lora.yaml"


def _lines(path: Path, wanted: set[int]) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number in range(max(wanted, default=-1) + 1):
                line = file.readline(LONGEST_LINE)
                if not line:
                    return
                if number in wanted:
                    yield number, _readable(line)
    except OSError:
        return


def _readable(line: str) -> str:
    """A row's texts, one below the other."""
    try:
        row = json.loads(line)
        if "messages" in row:
            parts = [f"{each['role']}: {each['content']}" for each in row["messages"]]
        elif "chosen" in row:
            names = ("prompt", "chosen", "rejected")
            parts = [f"{name}: {row[name]}" for name in names if row.get(name)]
        elif "prompt" in row:
            parts = [f"{row['prompt']}", f"{row['completion']}"]
        else:
            parts = [f"{row['text']}"]
    except (ValueError, KeyError, TypeError):
        parts = [line]
    text = "\n".join(parts)
    return text if len(text) <= ROW_CHARACTERS else f"{text[:ROW_CHARACTERS]}…"


def _validation_tile(job: TrainingJob, newest: Metric | None, best: Metric | None) -> Tile:
    if best is not None:
        note = f"best {best.value:.3f} at step {best.step:,}"
        return Tile("Validation loss", _figure(newest), note)
    if job.facts.get("validation_rows"):
        return Tile("Validation loss", NOT_YET, "not evaluated yet")
    return Tile("Validation loss", "none", "no validation rows")


def _figure(metric: Metric | None, form: str = ".3f") -> str:
    return NOT_YET if metric is None else format(metric.value, form)


def _seconds_left(job: TrainingJob, spent: Metric | None) -> float | None:
    if spent is None or not spent.step or not spent.value:
        return None
    return (job.steps - job.step) * spent.value / spent.step
