"""Usage over REST, at /api/usage."""

from __future__ import annotations

from typing import Annotated, Literal

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import WithJsonSchema

from apps.inference.api.errors import ErrorResponse
from apps.inference.usage.filters import NO_KEY, UsageFilter
from apps.inference.usage.schemas import UsagePeriod, UsageRecord, UsageReport, UsageSums

router = Router(tags=["Usage"])


def _day(description: str) -> WithJsonSchema:
    """How the document has a day; the filter is what reads it."""
    days = {"type": "string", "anyOf": [{"format": "date"}, {"const": ""}]}
    return WithJsonSchema(days | {"description": description})


class BadUsageFilter(Exception):
    """The filter makes no sense; ``param`` is the part at fault."""

    def __init__(self, message: str, *, param: str | None) -> None:
        super().__init__(message)
        self.param = param


@router.get(
    "/usage", response={200: UsageReport, 400: ErrorResponse}, summary="What was asked and answered"
)
def get_usage(
    request: HttpRequest,
    key: Annotated[
        str, Query(description=f"A key's public id; `{NO_KEY}`: requests without a key.")
    ] = "",
    model: Annotated[str, Query(description="`MODEL` or `MODEL:ADAPTER`.", max_length=320)] = "",
    first: Annotated[str, Query(), _day("The first day, in UTC. Default: 30 days before.")] = "",
    last: Annotated[str, Query(), _day("The last day, in UTC. Default: today.")] = "",
    status: Literal["", "ok", "refused", "failed", "left"] = "",
    limit: Annotated[int, Query(ge=0, le=1000, description="Records in the answer.")] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> UsageReport:
    """Totals, their course over time, and the requests themselves."""
    form = UsageFilter({"key": key, "model": model, "first": first, "last": last, "status": status})
    if not form.is_valid():
        param, problems = next(iter(form.errors.items()))
        raise BadUsageFilter(str(problems[0]), param=None if param == "__all__" else param)
    records = form.records()
    totals = UsageSums.model_validate(records.totals())
    page = records.without_text()[offset : offset + limit]
    return UsageReport(
        totals=totals,
        periods=[
            UsagePeriod.model_validate(each)
            for each in records.by_time("hour" if form.is_hourly else "day")
        ],
        records=[UsageRecord.of(record) for record in page],
        total_records=totals.requests,
    )
