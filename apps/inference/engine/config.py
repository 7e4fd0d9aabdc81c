"""What an engine process is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

GIB = 1024**3


class PromptCacheConfig(BaseModel):
    """Budgets of the prompt cache. Entries and bytes of 0 turn a tier off."""

    model_config = ConfigDict(frozen=True)

    directory: Path
    max_entries: int = 10
    max_memory_bytes: int = 2 * GIB
    max_disk_bytes: int = 8 * GIB
    min_free_disk_bytes: int = 1 * GIB
    """The disk tier writes nothing that would leave less than this free."""
    kv_bits: Literal[4, 8] | None = None
    """Keep cached KV quantised to this many bits; None keeps it as computed."""


class ResponseCacheConfig(BaseModel):
    """Exact repeats of deterministic requests, answered from memory. 0 bytes turn it off."""

    model_config = ConfigDict(frozen=True)

    max_bytes: int = 0
    ttl_seconds: float = 3600.0


class EngineConfig(BaseModel):
    """Travels from the supervisor as JSON on the command line."""

    model_config = ConfigDict(frozen=True)

    socket: Path
    prompt_cache: PromptCacheConfig
    response_cache: ResponseCacheConfig = ResponseCacheConfig()
    measurements: Path | None = None
    """File that remembers how much memory loads really took; None: they are not remembered."""
    max_batch: int = 16
    """Sequences decoded together, per model."""
    max_queue: int = 64
    """Requests that may wait; one more is refused."""
    memory_ceiling_bytes: int | None = None
    """Bytes for weights, live KV and prompt cache; None: three quarters of the memory."""
    model_ttl_seconds: float = 3600.0
    """Idle models are unloaded after this time; 0 keeps them."""
    drain_seconds: float = 5.0
    """How long running answers may go on after the engine was told to stop."""
    log_level: str = "INFO"
    log_format: Literal["text", "json"] = "text"
