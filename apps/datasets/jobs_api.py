"""Jobs on all datasets over REST, at /api/dataset-jobs; those of one are below its name."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router

from apps.datasets.models import DatasetJob
from apps.datasets.schemas import DatasetFault, DatasetJobList, DatasetJobOut
from apps.jobs import control
from apps.jobs.rest import JobRoutes, Limit, Offset

router = Router(tags=["Dataset jobs"])

jobs = JobRoutes(
    router,
    "/dataset-jobs",
    rows=DatasetJob.objects.newest_first,
    out=DatasetJobOut,
    fault=DatasetFault,
    called="dataset job",
    code="dataset_job_not_found",
)


@router.get("/dataset-jobs", response=DatasetJobList, summary="List jobs on datasets")
def list_jobs(request: HttpRequest, limit: Limit = 50, offset: Offset = 0) -> DatasetJobList:
    """The newest first, whichever dataset they are on."""
    found = DatasetJob.objects.newest_first()
    page = found[offset : offset + limit]
    return DatasetJobList(jobs=[DatasetJobOut.of(each) for each in page], total=found.count())


@jobs.show(summary="One job on a dataset")
def get_job(job: DatasetJob) -> DatasetJobOut:
    """How far it is, or what came of it."""
    return DatasetJobOut.of(job)


@jobs.action("cancel", summary="Cancel a job on a dataset, by its number alone")
def cancel_job(job: DatasetJob) -> None:
    """A running one ends within a second or two; one that is over stays as it is."""
    control.cancel(job)
