"""How the engine process is started, for the supervisor and for ``runserver``."""

from __future__ import annotations

import sys

from django.conf import settings

from apps.inference.engine.config import GIB, EngineConfig, PromptCacheConfig, ResponseCacheConfig
from apps.observability.logs import Form


def engine_config(*, log_format: Form | None = None) -> EngineConfig:
    """What the hub's settings mean to the engine, in its own units."""
    hub = settings.HUB
    ceiling = hub.memory_ceiling_gb
    return EngineConfig(
        socket=hub.engine_socket,
        prompt_cache=PromptCacheConfig(
            directory=hub.prompt_cache_dir,
            max_entries=hub.prompt_cache_entries,
            max_memory_bytes=int(hub.prompt_cache_gb * GIB),
            max_disk_bytes=int(hub.prompt_cache_disk_gb * GIB),
            kv_bits=hub.prompt_cache_kv_bits,
        ),
        response_cache=ResponseCacheConfig(
            max_bytes=int(hub.response_cache_mb * 2**20),
            ttl_seconds=hub.response_cache_ttl_minutes * 60,
        ),
        measurements=hub.measured_loads_file,
        max_batch=hub.max_batch,
        max_queue=hub.max_queue,
        model_ttl_seconds=hub.model_ttl_minutes * 60,
        memory_ceiling_bytes=int(ceiling * GIB) if ceiling else None,
        log_level=hub.log_level.upper(),
        log_format=log_format or hub.log_format,
    )


def engine_command(*, log_format: Form | None = None) -> list[str]:
    """The command line; it needs the project importable, as the caller has it.

    ``log_format``: where it is not to be as the hub's settings say.
    """
    config = engine_config(log_format=log_format).model_dump_json()
    return [sys.executable, "-m", "apps.inference.engine", "--config", config]
