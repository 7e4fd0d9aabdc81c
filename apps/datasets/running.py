"""Running one dataset job to its end, in the worker or in a command's own process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from apps.datasets import editing, examining
from apps.datasets.errors import DatasetError
from apps.datasets.formats.errors import FormatError
from apps.datasets.importing import import_source
from apps.datasets.models import DatasetJob, DatasetVersion
from apps.jobs.conduct import Progress, Report, conduct
from apps.jobs.models import JobState

Work = Callable[[DatasetJob, Report], DatasetVersion | None]

_Kind = DatasetJob.Kind
WORKS: dict[str, Work] = {
    _Kind.IMPORT: import_source,
    _Kind.MAP: editing.apply_mapping,
    _Kind.DROP: editing.drop_rows,
    _Kind.MASK: editing.mask_rows,
    _Kind.EDIT: editing.edit_rows,
    _Kind.SPLIT: editing.split_rows,
    _Kind.SAMPLE: editing.sample_rows,
    _Kind.MERGE: editing.merge_rows,
    _Kind.NEAR: examining.find_near_duplicates,
    _Kind.TOKENS: examining.count_tokens,
    _Kind.LANGUAGES: examining.tell_languages,
}
"""What each kind of job does, and the version that it makes, if it makes one."""


def run(
    job: DatasetJob,
    *,
    stops: threading.Event,
    stopped_as: JobState = JobState.QUEUED,
    on_progress: Progress | None = None,
) -> None:
    """Run a queued job until it ends or ``stops`` is set; then it starts anew later."""

    def work(report: Report) -> None:
        if not _is_done(job):
            job.result = WORKS[job.kind](job, report)
        job.save(update_fields=["result", "figures"])

    conduct(
        job,
        work,
        expected=(DatasetError, FormatError, OSError),
        worker_stops=stops,
        stopped_as=stopped_as,
        on_progress=on_progress,
    )


def _is_done(job: DatasetJob) -> bool:
    """Whether a process that was killed had made its version; an import makes a second one."""
    return job.result is not None and job.kind != _Kind.IMPORT
