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


# --- health -----------------------------------------------------------------


State = Literal["ok", "degraded", "down"]


class AcceleratorOut(_Answer):
    backend: Literal["metal", "cuda", "cpu"]
    name: str
    blas: str | None
    memory_bytes: int
    memory_ceiling_bytes: int
    warning: str | None


class LoadedModelOut(_Answer):
    name: str
    context_length: int
    weights_bytes: int
    live_kv_bytes: int
    loaded_at: datetime
    last_used_at: datetime


class EngineStatusOut(_Answer):
    pid: int
    started_at: datetime
    accelerator: AcceleratorOut
    models: list[LoadedModelOut]
    loading: str | None = Field(description="The model that is being loaded.")
    active: int = Field(description="Sequences being prefilled or decoded.")
    queued: int
    steps: int = Field(description="Completed engine steps.")
    last_step_age: float | None = Field(description="Seconds since the last completed step.")
    loop_age: float = Field(description="Seconds since the engine's loop came round.")
    generated_tokens: int
    active_memory_bytes: int
    peak_memory_bytes: int


class ComponentOut(_Answer):
    status: State
    detail: str = Field(description="What is wrong and what to do; empty where all is well.")
    latency_ms: float


class EngineComponentOut(ComponentOut):
    state: EngineStatusOut | None = Field(default=None, description="Null where it is silent.")


class ComponentsOut(BaseModel):
    database: ComponentOut
    engine: EngineComponentOut
    worker: ComponentOut


class HealthOut(BaseModel):
    status: State = Field(
        description="down: no chat can be answered. degraded: something else is not."
    )
    components: ComponentsOut
