"""The management API's answers and requests, as JSON. Times are ISO 8601, in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


# --- prompt cache -----------------------------------------------------------


class PromptCacheEntryOut(_Answer):
    id: str
    model: str
    model_digest: str = Field(description="Content digest of weights, tokenizer and template.")
    kind: Literal["system", "conversation"]
    preview: str = Field(description="The first characters of the cached prompt.")
    tokens: int
    bytes: int = Field(description="KV bytes; spans shared with other entries count in each.")
    hits: int
    pinned: bool = Field(description="Kept from eviction.")
    in_memory: bool
    on_disk: bool
    created_at: datetime
    last_used_at: datetime


class PromptCacheList(BaseModel):
    entries: list[PromptCacheEntryOut] = Field(description="Most recently used first.")


class PromptCacheStats(_Answer):
    memory_entries: int
    memory_bytes: int
    max_entries: int
    max_memory_bytes: int
    disk_entries: int
    disk_bytes: int
    max_disk_bytes: int
    total_hits: int
    total_misses: int
    hit_rate: float = Field(description="Hits over look-ups; 0 before the first.")
    tokens_reused: int
    tokens_computed: int
    evictions: int
    disk_hits: int
    disk_errors: int
    response_entries: int = Field(description="Whole responses kept for exact repeats.")
    response_bytes: int
    response_max_bytes: int = Field(description="0 where the response cache is off.")
    response_hits: int
    response_misses: int


class WarmupRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(
        default=None,
        min_length=1,
        description="`MODEL` or `MODEL:ADAPTER`. Default: the model that the hub got first.",
    )
    system_prompt: str = Field(min_length=1)
    pin: bool = Field(default=False, description="Keep it from eviction.")


class WarmupResult(BaseModel):
    id: str = Field(description="The cache entry's id.")
    model: str
    tokens: int = Field(description="Length of the cached prompt.")
    cached_tokens: int = Field(description="How many of them were in the cache before.")
    seconds: float
    pinned: bool


class WarmPromptOut(_Answer):
    name: str
    target: str = Field(description="What it is warmed for: `MODEL` or `MODEL:ADAPTER`.")
    state: Literal["idle", "waiting", "warming", "warm", "failed"]
    tokens_done: int
    tokens_total: int | None = Field(description="Null until it is known.")
    enabled: bool
    pinned: bool
    last_warmed_at: datetime | None
    last_error: str


class WarmPromptList(BaseModel):
    prompts: list[WarmPromptOut]


class WarmPromptsRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    names: list[str] | None = Field(
        default=None, min_length=1, description="Default: every enabled prompt."
    )


class EvictionResult(BaseModel):
    evicted: int
