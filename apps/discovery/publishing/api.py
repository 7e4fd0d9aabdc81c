"""Publications over REST, under /api/publications."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import BaseModel, ConfigDict, Field

from apps.discovery.publishing import services
from apps.discovery.publishing.errors import PublicationActive, PublishingError
from apps.discovery.publishing.models import Publication
from apps.inference.api.errors import ErrorResponse, Problem, problem
from apps.inference.services import find_model
from apps.jobs.rest import JobRoutes, Limit, Offset, StateName

router = Router(tags=["Publishing"])


class PublicationRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str = Field(
        min_length=1, max_length=250, description="An adapter, as `model:adapter`, or a model."
    )
    repo_id: str = Field(max_length=200, pattern=r"^[\w.-]+/[\w.-]+$", description="As OWNER/NAME.")
    private: bool = True
    existing: bool = Field(
        default=False, description="Whether it may be added to a repository that is there."
    )


class PublicationOut(BaseModel):
    id: int
    subject: str = Field(description="What is published, by its name in API calls.")
    repo_id: str
    private: bool
    state: StateName
    doing: str
    fraction: float = Field(description="How far it is, from 0.0 to 1.0.")
    sent_bytes: int
    total_bytes: int
    commit_url: str = Field(description="Empty as long as it is not there.")
    error: str
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, publication: Publication) -> PublicationOut:
        return cls.model_validate({name: getattr(publication, name) for name in cls.model_fields})


class PublicationList(BaseModel):
    publications: list[PublicationOut] = Field(description="The newest first.")
    total: int


jobs = JobRoutes(
    router,
    "/publications",
    rows=Publication.objects.newest_first,
    out=PublicationOut,
    fault=ErrorResponse,
    called="publication",
    code="publication_not_found",
)


def publishing_problem(error: PublishingError) -> Problem:
    """The answer to what publishing refused."""
    match error:
        case PublicationActive():
            return problem(409, str(error), code="publication_active")
        case _:
            return problem(400, str(error), code="not_publishable")


@router.get("/publications", response=PublicationList, summary="List publications")
def list_publications(
    request: HttpRequest,
    limit: Limit = 50,
    offset: Offset = 0,
) -> PublicationList:
    """The newest first."""
    found = Publication.objects.newest_first()
    page = found[offset : offset + limit]
    return PublicationList(
        publications=[PublicationOut.of(each) for each in page], total=found.count()
    )


@router.post(
    "/publications",
    response={202: PublicationOut, (400, 403, 404, 503): ErrorResponse},
    summary="Publish an adapter or a model",
)
def publish(request: HttpRequest, payload: PublicationRequest) -> Status[PublicationOut]:
    """Makes a repository on the hub, private unless asked otherwise, and sends the files."""
    named = find_model(payload.model)
    publication = services.order(
        model=named.model,
        adapter=named.adapter,
        repo_id=payload.repo_id,
        private=payload.private,
        existing=payload.existing,
    )
    services.start(publication=publication)
    return Status(202, PublicationOut.of(publication))


@jobs.show(summary="One publication")
def get_publication(publication: Publication) -> PublicationOut:
    """How far it is."""
    return PublicationOut.of(publication)


@jobs.action("cancel", summary="Cancel a publication")
def cancel_publication(publication: Publication) -> None:
    """A running one ends within a second or two; one that is over stays as it is."""
    services.cancel(publication=publication)


@jobs.action("repeat", summary="Repeat a publication", refusals=(403, 503))
def repeat_publication(publication: Publication) -> None:
    """Sends what is missing; one that does not stand still stays as it is."""
    services.repeat(publication=publication)


@jobs.removal(summary="Forget a publication")
def forget_publication(publication: Publication) -> None:
    """The repository stays."""
    services.forget(publication=publication)
