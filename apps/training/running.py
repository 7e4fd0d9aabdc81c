"""One training job from its claim to its adapter, in the worker or a command's process.

The trainer is a process of its own. It may outlive this one for a moment: it saves a
checkpoint once its standard input ends, and the next worker goes on from there.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from apps.inference.client import EngineError
from apps.inference.holding import memory_held
from apps.jobs.conduct import JobEnds, Progress, conduct
from apps.jobs.models import JobState
from apps.models.errors import RegistryError
from apps.models.runtime.errors import RuntimeFault
from apps.training.deaths import after_trainer
from apps.training.errors import BadOrder, RunFailed, TrainingError
from apps.training.landing import land
from apps.training.models import TrainingJob
from apps.training.process import SAVING_SECONDS, ask, ended, trainer_at
from apps.training.recording import record
from apps.training.room import this_room
from apps.training.run_lock import alone_in
from apps.training.starts import kept
from apps.training.suggestions import Subject
from apps.training.trainer.events import Ended, Event, Failed

LOOK_SECONDS = 0.5
"""How often the run's events are read."""


def run(
    job: TrainingJob,
    *,
    stops: threading.Event,
    on_progress: Progress | None = None,
) -> None:
    """Train until the job ends, somebody stops it, or ``stops`` is set; then it goes on later."""
    conduct(
        job,
        lambda report: _train(job, report),
        expected=(TrainingError, RegistryError, RuntimeFault),
        worker_stops=stops,
        stopped_as=JobState.QUEUED if job.self_resuming else JobState.INTERRUPTED,
        on_progress=on_progress,
    )


def _train(job: TrainingJob, report: Progress) -> None:
    """Raises TrainingError, RegistryError, JobEnds."""
    _write_config(job)
    try:
        _run_trainer(job, report)
    except RunFailed as failure:
        job.row.update(fault=failure.fault)
        raise


def _run_trainer(job: TrainingJob, report: Progress) -> None:
    with alone_in(job.run, lambda doing: report(doing, job.fraction)) as lock, _memory(job):
        _begin_anew(job)
        with trainer_at(job.run, lock) as trainer:
            last = _attend(job, trainer, report)
    match last:
        case Ended():
            land(job)
        case Failed():
            raise RunFailed(last.message, last.fault)
        case _:
            job.row.update(fault="killed")
            raise JobEnds(*after_trainer(job, _cause(trainer.returncode)))


def _begin_anew(job: TrainingJob) -> None:
    """Hear an earlier trainer out: its last word is not to be taken for that of the next one."""
    record(job)
    job.ending = job.fault = ""
    job.save(update_fields=["ending", "fault"])


def _attend(job: TrainingJob, trainer: subprocess.Popen[str], report: Progress) -> Event | None:
    """Follow the trainer, and end it where the job ends; its last event. Raises JobEnds."""
    if job.finishing:
        ask(trainer, "stop")
    try:
        return _follow(job, trainer, report)
    except JobEnds as end:
        _stop(job, trainer, save=end.state != JobState.CANCELLED)
        if not (end.state == JobState.PAUSED and _finishes(job)):
            raise
        return Ended(step=job.step, reason="stopped")


def _finishes(job: TrainingJob) -> bool:
    """Whether it was asked to leave its result where it is now, and has."""
    job.refresh_from_db(fields=["finishing"])
    return job.finishing and job.ending == "stopped"


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
        is_over = ended(trainer, LOOK_SECONDS)
        for event in record(job):
            last = event
        report(_doing(job), job.step / job.steps)
        if is_over:
            return last


def _doing(job: TrainingJob) -> str:
    if not job.facts:
        return "reading model and data"
    if job.step == job.steps and job.facts.get("test_rows"):
        return "measuring on the test rows"
    return f"step {job.step:,} of {job.steps:,}"


def _stop(job: TrainingJob, trainer: subprocess.Popen[str], *, save: bool) -> None:
    """Ask the trainer to end, and wait until it has; one that does not is ended."""
    ask(trainer, "stop" if save else "cancel")
    if not ended(trainer, SAVING_SECONDS):
        trainer.kill()
        trainer.wait()
    record(job)


def _write_config(job: TrainingJob) -> None:
    """Raises BadOrder where the base model is gone, or the adapter to go on from."""
    if job.base is None:
        raise BadOrder(f"{job.base_name} was deleted. Choose another model and start a new job.")
    config = job.settings | {"model": job.base.path, "data": job.data}
    job.run.mkdir(parents=True, exist_ok=True)
    if config.get("resume_adapter_file"):
        config["resume_adapter_file"] = str(kept(job))
    staged = job.run / ".config.new"
    staged.write_text(json.dumps(config, indent=2))
    staged.rename(job.run / "config.json")


def _cause(status: int) -> str:
    """Why the trainer is gone, as far as its exit status tells."""
    cause = (
        "The system ended it, most likely for want of memory: use a smaller batch or length, or "
        "unload models"
        if status == -signal.SIGKILL
        else f"Its exit status was {status}"
    )
    return f"The trainer died without a word. {cause}, then resume the job."
