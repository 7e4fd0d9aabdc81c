"""What a step of a job takes, measured: the trainer runs a few on some of the job's rows.

It happens in the worker and in its turn like any job that holds a model. The rows are
spread over the lengths that the data has; the steps in which MLX compiles are left out.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.db import transaction

from apps.inference.client import EngineError
from apps.inference.holding import memory_held
from apps.jobs import tasks
from apps.jobs.conduct import Report, conduct
from apps.jobs.models import ACTIVE, JobState, Priority
from apps.models.models import LocalModel
from apps.training.errors import RunFailed, TrainingError
from apps.training.material import look
from apps.training.models import StepTiming
from apps.training.picking import picked
from apps.training.process import ask, ended, trainer_at
from apps.training.room import this_room
from apps.training.run_lock import alone_in
from apps.training.suggestions import Subject
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.events import Failed, Trained, read_events

BATCHES = 3
"""Of different lengths, once to compile and once to be timed."""

MOST_SECONDS = 120.0
"""Then what was timed so far has to do."""

LOOK_SECONDS = 0.2

_SHAPING = (
    "objective", "method", "num_layers", "optimizer", "batch_size", "max_seq_length",
    "gradient_checkpointing",
)  # fmt: skip
"""Settings that a step's time and memory depend on, beside the adapter's rank and keys."""


def shape_of(config: TrainingConfig) -> str:
    """The same for settings under which a step of the same rows takes the same time."""
    whole = config.model_dump(mode="json")
    shaping = {name: whole[name] for name in _SHAPING} | {
        "rank": config.lora.rank,
        "keys": config.lora.keys,
        "dropout": config.lora.dropout > 0,
    }
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


def order_timing(*, base: LocalModel, config: TrainingConfig) -> StepTiming:
    """A timing that waits for its turn, before every training; the same one if one does already."""
    shape = shape_of(config)
    known = StepTiming.objects.filter(base=base, shape=shape, state__in=ACTIVE).first()
    if known is not None:
        return known
    with transaction.atomic():
        timing = StepTiming.objects.create(
            base=base,
            data=config.data,
            settings=config.model_dump(mode="json", exclude={"model", "data"}),
            shape=shape,
            priority=Priority.HIGH,
        )
        transaction.on_commit(lambda: tasks.take_turns())
    return timing


def newest_timing(base: LocalModel, config: TrainingConfig) -> StepTiming | None:
    """Of this shape, in whatever state it is; None: nobody ordered one."""
    return StepTiming.objects.filter(base=base, shape=shape_of(config)).first()


def run_timing(timing: StepTiming, *, stops: threading.Event) -> None:
    """Time it to its end, for whoever has the turn."""

    def work(report: Report) -> None:
        figures = _timed(timing, report)
        report("", 1.0, seconds=figures.seconds, peak_memory=figures.memory, length=figures.length)

    conduct(
        timing,
        work,
        expected=(TrainingError,),
        worker_stops=stops,
        stopped_as=JobState.QUEUED,
    )


@dataclass(frozen=True)
class _Figures:
    seconds: float
    memory: int
    length: float


def _timed(timing: StepTiming, report: Report) -> _Figures:
    """Raises TrainingError, JobEnds."""
    report("reading model and data", 0.0)
    batch = timing.settings["batch_size"]
    rows = picked(Path(timing.data) / "train.jsonl", batch * BATCHES)
    runs = Path(django_settings.HUB.runs_dir)
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".timing-", dir=runs) as folder:
        run = Path(folder)
        (run / "train.jsonl").write_bytes(b"".join(rows))
        (run / "config.json").write_text(json.dumps(_config(timing, run)))
        lengths = look(run, Path(timing.base.path)).lengths
        reports = _reports(timing, run, report)
    # The first time that a batch of some length comes, MLX compiles for it.
    counted = reports[BATCHES:] or reports[-1:]
    if not counted:
        raise RunFailed("No step was through in time. Use a smaller batch or length.", "timing")
    before = reports[reports.index(counted[0]) - 1].seconds if len(reports) > 1 else 0.0
    seconds = (counted[-1].seconds - before) / len(counted)
    memory = max(each.peak_memory for each in reports)
    return _Figures(seconds, memory, sum(lengths) / len(lengths))


def _config(timing: StepTiming, run: Path) -> dict[str, Any]:
    steps = 2 * BATCHES
    settings: dict[str, Any] = timing.settings
    return settings | {
        "model": timing.base.path,
        "data": str(run),
        "iters": steps * 100,
        "accumulation": 1,
        "schedule": {},
        "steps_per_report": 1,
        "steps_per_eval": steps * 100,
        "steps_per_save": steps * 100,
        "patience": None,
        "keep_best": False,
        "resume_adapter_file": None,
        "test": False,
        "prompts": [],
    }


def _reports(timing: StepTiming, run: Path, report: Report) -> list[Trained]:
    needed = Subject.of(timing.base).fit(timing.settings, this_room().machine).needed_bytes
    try:
        with (
            alone_in(run, lambda doing: None) as lock,
            memory_held(str(timing), needed),
            trainer_at(run, lock) as trainer,
        ):
            until = time.monotonic() + MOST_SECONDS
            while True:
                is_over = ended(trainer, LOOK_SECONDS)
                events, _ = read_events(run, 0)
                reports = [event for event in events if isinstance(event, Trained)]
                report("timing steps", min(len(reports) / (2 * BATCHES), 1.0))
                if len(reports) >= 2 * BATCHES or time.monotonic() > until:
                    ask(trainer, "cancel")
                    return reports
                if is_over:
                    failed = next((each for each in events if isinstance(each, Failed)), None)
                    raise RunFailed(failed.message if failed else "The trainer died.", "timing")
    except EngineError as error:
        raise RunFailed(error.message, "no_memory") from error
