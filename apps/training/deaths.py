"""What becomes of a job one of whose processes died: of its trainer, or of its worker.

It is interrupted, with the last that its trainer wrote. Where the job goes on by itself it
is back in the line at once, as long as it gets further from one death to the next.
"""

from __future__ import annotations

from apps.jobs import control
from apps.jobs.models import JobState
from apps.observability.lines import readable
from apps.training.models import TrainingJob

LAST_LINES = 20
"""Of the trainer's log."""

MOST_DEATHS = 3
"""In a row at no later step than before; then somebody has to look."""

LOST = "The process that ran it ended in the middle of it."
TOO_OFTEN = "It died {deaths} times without getting further, so it does not go on by itself."


def settle() -> int:
    """Take jobs out of ``running`` whose worker is gone; how many there were.

    Cheap where there is none, so that whoever looks at jobs may call it before.
    """
    return sum(_settle(job) for job in TrainingJob.objects.orphaned())


def after_trainer(job: TrainingJob, cause: str) -> tuple[JobState, str]:
    """How a job whose trainer died goes on, and what its row says of that."""
    verdict = _verdict(job, cause)
    _count(job)
    return verdict


def last_lines(job: TrainingJob) -> str:
    """The end of what the trainer wrote; empty where it wrote nothing."""
    try:
        text = (job.run / "trainer.log").read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(readable(line) for line in text.splitlines()[-LAST_LINES:])


def _settle(job: TrainingJob) -> bool:
    state, error = _verdict(job, LOST)
    if not control.settle_orphans(job.row, error=error, as_state=state):
        return False
    _count(job)
    # Whoever looks before its next turn comes is told what happened.
    job.row.queued().update(error=error)
    return True


def _verdict(job: TrainingJob, cause: str) -> tuple[JobState, str]:
    deaths = _deaths(job)
    goes_on = job.self_resuming and deaths < MOST_DEATHS
    if job.self_resuming and not goes_on:
        cause = f"{cause} {TOO_OFTEN.format(deaths=deaths)}"
    state = JobState.QUEUED if goes_on else JobState.INTERRUPTED
    return state, f"{cause}\n{last_lines(job)}".rstrip()


def _deaths(job: TrainingJob) -> int:
    """In a row, with the present one."""
    return 1 if job.step > job.died_at else job.deaths + 1


def _count(job: TrainingJob) -> None:
    job.row.update(deaths=_deaths(job), died_at=max(job.step, job.died_at))
