"""One training job from its claim to its adapter, in the worker or a command's process.

The trainer is a process of its own. It may outlive this one for a moment: it saves a
checkpoint once its standard input ends, and the next worker goes on from there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from apps.inference.client import EngineError
from apps.inference.holding import memory_held
from apps.jobs.conduct import JobEnds, Report, conduct
from apps.jobs.models import JobState
from apps.models.errors import RegistryError
from apps.models.runtime.errors import RuntimeFault
from apps.training.errors import BadOrder, RunFailed, TrainingError
from apps.training.landing import land
from apps.training.models import TrainingJob
from apps.training.preflight import this_room
from apps.training.recording import record
from apps.training.suggestions import Subject
from apps.training.trainer.events import Ended, Event, Failed

MODULE = "apps.training.trainer"

LOOK_SECONDS = 0.5
"""How often the run's events are read."""

SAVING_SECONDS = 120.0
"""A trainer that was asked to stop may finish its step and save; then it is ended."""

LAST_LINES = 20
"""Of the trainer's log, told where it died without a word."""

Progress = Callable[[str, float], None]


def run(
    job: TrainingJob,
    *,
    stops: threading.Event,
    on_progress: Progress = lambda doing, fraction: None,
) -> None:
    """Train until the job ends, somebody stops it, or ``stops`` is set; then it goes on later."""

    def work(report: Report) -> None:
        def tell(doing: str, fraction: float) -> None:
            on_progress(doing, fraction)
            report(doing, fraction)

        _train(job, tell)

    conduct(
        job,
        work,
        expected=(TrainingError, RegistryError, RuntimeFault),
        worker_stops=stops,
        stopped_as=JobState.QUEUED,
    )


def _train(job: TrainingJob, report: Progress) -> None:
    """Raises TrainingError, RegistryError, JobEnds."""
    _write_config(job)
    TrainingJob.objects.filter(pk=job.pk).update(ending="", fault="")
    with _memory(job), _trainer(job.run) as trainer:
        try:
            last = _follow(job, trainer, report)
        except JobEnds as end:
            _stop(job, trainer, save=end.state != JobState.CANCELLED)
            if end.state == JobState.PAUSED:
                land(job)
            raise
    match last:
        case Ended():
            land(job)
        case Failed():
            raise RunFailed(last.message, last.fault)
        case _:
            raise RunFailed(_last_words(job.run, trainer.returncode), "killed")


@contextmanager
def _memory(job: TrainingJob) -> Iterator[None]:
    """What the run is estimated to take, in the ledger that models share. Raises RunFailed."""
    assert job.base is not None
    needed = Subject.of(job.base).fit(job.settings, this_room().machine).needed_bytes
    try:
        with memory_held(f"The training of {job.name}", needed):
            yield
    except EngineError as error:
        raise RunFailed(error.message, "no_memory") from error


def _follow(job: TrainingJob, trainer: subprocess.Popen[str], report: Progress) -> Event | None:
    """Record what the run tells until the trainer ends; the last event."""
    last: Event | None = None
    while True:
        ended = _ended(trainer, LOOK_SECONDS)
        for event in record(job):
            last = event
        report(_doing(job), job.step / job.steps)
        if ended:
            return last


def _doing(job: TrainingJob) -> str:
    return f"step {job.step:,} of {job.steps:,}" if job.facts else "reading model and data"


def _stop(job: TrainingJob, trainer: subprocess.Popen[str], *, save: bool) -> None:
    """Ask the trainer to end, and wait until it has; one that does not is ended."""
    assert trainer.stdin is not None
    with suppress(BrokenPipeError):
        trainer.stdin.write("stop\n" if save else "cancel\n")
        trainer.stdin.flush()
    if not _ended(trainer, SAVING_SECONDS):
        trainer.kill()
        trainer.wait()
    record(job)


def _ended(trainer: subprocess.Popen[str], seconds: float) -> bool:
    try:
        trainer.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _write_config(job: TrainingJob) -> None:
    """Raises BadOrder where the base model is gone."""
    if job.base is None:
        raise BadOrder(f"{job.base_name} was deleted. Choose another model and start a new job.")
    config = job.settings | {"model": job.base.path, "data": job.data}
    job.run.mkdir(parents=True, exist_ok=True)
    staged = job.run / ".config.new"
    staged.write_text(json.dumps(config, indent=2))
    staged.rename(job.run / "config.json")


@contextmanager
def _trainer(run: Path) -> Iterator[subprocess.Popen[str]]:
    """The trainer at work on a run's folder. It ends with the block."""
    with (run / "trainer.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            [sys.executable, "-m", MODULE, str(run)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        assert process.stdin is not None
        _close(process.stdin)
        if not _ended(process, SAVING_SECONDS):
            process.kill()
            process.wait()


def _close(stream: IO[str]) -> None:
    with suppress(BrokenPipeError):
        stream.close()


def _last_words(run: Path, status: int | None) -> str:
    """Why the trainer is gone, as far as its log and exit status tell."""
    lines = (run / "trainer.log").read_text(errors="replace").splitlines()[-LAST_LINES:]
    cause = (
        "The system ended it, most likely for want of memory: use a smaller batch or length, or "
        "unload models"
        if status == -9
        else f"Its exit status was {status}"
    )
    tail = "\n".join(lines)
    return f"The trainer died without a word. {cause}, then resume the job.\n{tail}".rstrip()
