"""Usage as JSON. Times are ISO 8601 in UTC; durations are in seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from apps.inference.usage.models import RequestRecord


class UsageSums(BaseModel):
    requests: int
    failed: int = Field(description="Answered with a 4xx or 5xx status, or left by the client.")
    prompt_tokens: int
    cached_tokens: int = Field(description="Of the prompts' tokens.")
    completion_tokens: int
    time_to_first_token: float | None = Field(description="Mean of the requests that have one.")
    tokens_per_second: float | None = Field(description="Mean of the requests that have one.")


class UsagePeriod(UsageSums):
    at: datetime = Field(description="Start of the hour or day.")


class UsageRecord(BaseModel):
    created_at: datetime
    key: str | None = Field(description="The key's name; null: the owner, without a key.")
    model: str = Field(description="`MODEL` or `MODEL:ADAPTER`; empty where none was reached.")
    endpoint: str
    status: int = Field(description="499: the client left before it got one.")
    error_code: str
    finish_reason: str
    streamed: bool
    client_left: bool
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    time_to_first_token: float | None
    tokens_per_second: float | None
    duration: float

    @classmethod
    def of(cls, record: RequestRecord) -> UsageRecord:
        """The record as it goes out; with its key loaded."""
        same = [name for name in cls.model_fields if name not in {"key", "model"}]
        values: dict[str, Any] = {name: getattr(record, name) for name in same}
        key = record.key.name if record.key else None
        return cls(key=key, model=record.model_name, **values)


class UsageReport(BaseModel):
    totals: UsageSums
    periods: list[UsagePeriod] = Field(description="Hours or days that have requests, in order.")
    records: list[UsageRecord] = Field(description="The newest first.")
    total_records: int
