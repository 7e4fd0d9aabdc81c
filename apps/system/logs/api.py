"""Logs over REST, at /api/system/logs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import BaseModel, BeforeValidator, Field

from apps.system.logs.reading import Search, find

router = Router(tags=["System"])

Moment = Annotated[datetime, BeforeValidator(datetime.fromisoformat)]
"""Written in full; pydantic alone would take 0.5 for a moment in 1970."""


class LogLineOut(BaseModel):
    time: datetime | None
    level: str = Field(description="`output`: printed past the log, by a library for example.")
    process: str
    logger: str
    message: str
    exception: str
    request_id: str
    job: str
    run: str


class LogLines(BaseModel):
    lines: list[LogLineOut] = Field(description="The newest first.")
    is_more: bool = Field(description="Whether older ones fit as well.")


@router.get("/system/logs", response=LogLines, summary="Search the logs of all processes")
def get_logs(
    request: HttpRequest,
    process: Literal["", "web", "engine", "worker", "hub", "trainer"] = "",
    level: Annotated[
        Literal["", "debug", "info", "warning", "error"], Query(description="The least severe.")
    ] = "",
    text: Annotated[str, Query(max_length=200, description="What a line holds, in any case.")] = "",
    id: Annotated[str, Query(max_length=200, description="Of a request, a job or a run.")] = "",
    before: Moment | None = None,
    after: Moment | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> LogLines:
    """The newest lines that fit. To read on, ask for those before the last one's time."""
    search = Search(process, level, text, id, _aware(before), _aware(after))
    found = find(search, at_most=limit)
    return LogLines(
        lines=[LogLineOut.model_validate(line, from_attributes=True) for line in found.lines],
        is_more=found.is_more,
    )


def _aware(moment: datetime | None) -> datetime | None:
    return moment.astimezone() if moment and moment.tzinfo is None else moment
