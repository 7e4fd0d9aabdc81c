"""Which function does which kind of job.

Each takes the job and ``report``, raises one of ``EXPECTED`` for what its order or its
files are to blame for, and writes its result and figures to the row itself.
"""

from __future__ import annotations

from collections.abc import Callable

from apps.jobs.conduct import Report
from apps.models.errors import RegistryError
from apps.models.importing.orders import import_model
from apps.models.runtime.errors import RuntimeFault
from apps.models.work.exporting import export
from apps.models.work.making import convert, fuse
from apps.models.work.models import ModelJob
from apps.models.work.verifying import verify

Work = Callable[[ModelJob, Report], None]

EXPECTED = (RegistryError, RuntimeFault)

_WORK: dict[str, Work] = {
    ModelJob.Kind.IMPORT: import_model,
    ModelJob.Kind.CONVERT: convert,
    ModelJob.Kind.FUSE: fuse,
    ModelJob.Kind.EXPORT: export,
    ModelJob.Kind.VERIFY: verify,
}


def work_of(job: ModelJob) -> Work:
    """The function that does this job."""
    return _WORK[job.kind]
