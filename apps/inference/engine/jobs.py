"""The jobs that were admitted and are not over: each ends once, alone, and frees what it held."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from apps.inference.engine import protocol
from apps.inference.engine.errors import EngineFault, defect
from apps.inference.engine.job import Job
from apps.inference.engine.scheduler import Scheduler
from apps.inference.engine.sequence import Sequence

logger = logging.getLogger(__name__)


class Jobs:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._jobs: dict[int, Job] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        """All of them; they may end on the way."""
        return iter(list(self._jobs.values()))

    def __contains__(self, sequence: Sequence) -> bool:
        return sequence.id in self._jobs

    def __getitem__(self, sequence: Sequence) -> Job:
        return self._jobs[sequence.id]

    def admit(self, job: Job) -> None:
        """Raises QueueFull."""
        self._scheduler.submit(job.sequence)
        self._jobs[job.sequence.id] = job

    @contextmanager
    def contained(self, *jobs: Job) -> Iterator[Job]:
        """A failure inside ends these jobs alone; their neighbours go on."""
        try:
            yield jobs[0]
        except EngineFault as fault:
            for job in jobs:
                self.fail(job, fault.event())
        except Exception:  # their neighbours must not end with them
            for job in jobs:
                logger.exception("a request failed", extra=job.call.ids)
                self.fail(job, defect())

    def fail(self, job: Job, event: protocol.Failed) -> None:
        job.call.emit(event)
        self.end(job)

    def end(self, job: Job) -> None:
        """Free everything the job holds; a second time does nothing."""
        if self._jobs.pop(job.sequence.id, None) is None:
            return
        job.model.last_used_at = time.time()
        self._scheduler.finish(job.sequence)
        job.model.runner.remove([job.sequence])
