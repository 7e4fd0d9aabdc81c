"""The command line's reports, as lines of text."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.template.defaultfilters import pluralize

from apps.inference.engine import protocol
from mlxhub_site.supervisor.programs import describe_accelerator

GIB = 1024**3
MIB = 1024**2


def status_lines(status: protocol.Status) -> Iterator[str]:
    """What the engine is and does."""
    minutes = (time.time() - status.started_at) / 60
    yield f"Engine        pid {status.pid}, up for {minutes:.0f} min"
    yield f"Accelerator   {describe_accelerator(status.accelerator)}"
    yield (
        f"Memory        {status.active_memory_bytes / GIB:.1f} GiB in use, "
        f"{status.accelerator.memory_ceiling_bytes / GIB:.1f} GiB allowed"
    )
    yield f"Requests      {status.active} running, {status.queued} waiting"
    if status.loading:
        yield f"Loading       {status.loading}"
    for model in status.models:
        yield f"Loaded        {model.name}, {model.weights_bytes / MIB:.0f} MiB of weights"


def cache_line(stats: protocol.CacheStats) -> str:
    """How full the prompt cache is and how often it helped."""
    hits = f"{stats.total_hits} hit{pluralize(stats.total_hits)}"
    misses = f"{stats.total_misses} miss{pluralize(stats.total_misses, 'es')}"
    return (
        f"Prompt cache  {stats.memory_entries} of {stats.max_entries} entries, "
        f"{stats.memory_bytes / MIB:.0f} MiB; {hits}, {misses} ({stats.hit_rate:.0%} hits)"
    )
