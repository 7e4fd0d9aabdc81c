"""The numbers of the System page, as its stat tiles and memory bar show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.template.defaultfilters import filesizeformat, pluralize

from apps.inference.engine.protocol import CacheStats, Status
from apps.inference.snapshot import EngineSnapshot, MemoryUse
from apps.rendering.tiles import Tile

_STATE_WORDS = {
    "stalled": ("Stalled", "warn"),
    "loading": ("Loading", ""),
    "busy": ("Busy", "ok"),
    "idle": ("Idle", "ok"),
}
_BACKENDS = {"metal": "Metal", "cuda": "CUDA", "cpu": "CPU"}

BAR_WIDTH = 1000
"""Units of the memory bar's view box."""


@dataclass(frozen=True)
class MemoryPart:
    """One owner's share of the memory bar, in its units."""

    name: str
    label: str
    bytes: int
    start: float
    width: float


def engine_tiles(engine: EngineSnapshot) -> list[Tile]:
    """What the engine is and does; empty while it is down."""
    status = engine.status
    if status is None:
        return []
    word, tone = _STATE_WORDS[engine.state]
    accelerator = status.accelerator
    blas = f", BLAS: {accelerator.blas or 'none'}" if accelerator.backend == "cpu" else ""
    return [
        Tile("State", word, status.loading or f"process {status.pid}", tone),
        Tile("Accelerator", _BACKENDS[accelerator.backend], f"{accelerator.name}{blas}"),
        Tile("Running", f"{status.active:,}", f"{status.queued:,} waiting"),
        Tile("Engine steps", f"{status.steps:,}", _last_step(status)),
        Tile("Tokens generated", f"{status.generated_tokens:,}", "since the engine started"),
    ]


def _last_step(status: Status) -> str:
    if status.last_step_age is None:
        return "none yet"
    if status.last_step_age >= 60:
        return f"last {status.last_step_age / 60:,.0f} min ago"
    return f"last {status.last_step_age:.1f} s ago"


def cache_tiles(cache: CacheStats) -> list[Tile]:
    """How well the prompt cache does, and how full it is."""
    disk = (
        f"{filesizeformat(cache.disk_bytes)} of {filesizeformat(cache.max_disk_bytes)}"
        if cache.max_disk_bytes
        else "switched off"
    )
    hits = f"{cache.total_hits:,} hit{pluralize(cache.total_hits)}"
    misses = f"{cache.total_misses:,} miss{pluralize(cache.total_misses, 'es')}"
    tiles = [
        Tile("Hit rate", f"{cache.hit_rate:.0%}", f"{hits}, {misses}"),
        Tile("Tokens reused", f"{cache.tokens_reused:,}", f"{cache.tokens_computed:,} computed"),
        Tile(
            "In memory",
            f"{cache.memory_entries:,} of {cache.max_entries:,}",
            f"{filesizeformat(cache.memory_bytes)} of {filesizeformat(cache.max_memory_bytes)}",
        ),
        Tile("On disk", f"{cache.disk_entries:,}", disk),
    ]
    if cache.response_max_bytes:
        asked = cache.response_hits + cache.response_misses
        tiles.append(
            Tile(
                "Responses repeated",
                f"{cache.response_hits:,} of {asked:,}",
                f"{cache.response_entries:,} kept, {filesizeformat(cache.response_bytes)} of "
                f"{filesizeformat(cache.response_max_bytes)}",
            )
        )
    if cache.disk_errors:
        tiles.append(Tile("Disk errors", f"{cache.disk_errors:,}", "see logs/engine.log", "bad"))
    return tiles


def memory_parts(memory: MemoryUse) -> list[MemoryPart]:
    """The bar's parts side by side. They fill it at the ceiling, and no further above it."""
    return list(_parts(memory))


def _parts(memory: MemoryUse) -> Iterator[MemoryPart]:
    scale = BAR_WIDTH / max(memory.ceiling, memory.used, 1)
    start = 0.0
    for name, label, size in (
        ("weights", "Weights", memory.weights),
        ("live-kv", "Live KV", memory.live_kv),
        ("prompt-cache", "Prompt cache", memory.prompt_cache),
        ("other", "Other", memory.other),
        *([("held", "Jobs", memory.held)] if memory.held else []),
    ):
        width = min(size * scale, BAR_WIDTH - start)
        yield MemoryPart(name, label, size, round(start, 2), round(width, 2))
        start += width
