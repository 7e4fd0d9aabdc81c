"""The management API: the prompt cache and what to keep warm, under /admin."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Router, Status

from apps.inference import services
from apps.inference.api.errors import ErrorResponse
from apps.inference.api.management_schemas import (
    EvictionResult,
    PromptCacheEntryOut,
    PromptCacheList,
    PromptCacheStats,
    WarmPromptList,
    WarmPromptOut,
    WarmPromptsRequest,
    WarmupRequest,
    WarmupResult,
)
from apps.inference.engine.protocol import (
    CacheEntries,
    CacheStats,
    GetCacheStats,
    ListCache,
    Warmed,
)
from apps.inference.models import WarmPrompt, WarmPromptQuerySet
from apps.inference.tasks import queue_warming
from apps.inference.warming import prompts_named, warm_request

router = Router()


@router.get(
    "/cache/prompts",
    response={200: PromptCacheList, 503: ErrorResponse},
    summary="List the prompt cache",
    tags=["Prompt cache"],
)
def list_prompt_cache(request: HttpRequest) -> PromptCacheList:
    """The entries of the prompt KV cache, in memory and on disk."""
    entries = services.glancing_engine().call(ListCache(), CacheEntries).entries
    return PromptCacheList(entries=[PromptCacheEntryOut.model_validate(entry) for entry in entries])


@router.get(
    "/cache/prompts/stats",
    response={200: PromptCacheStats, 503: ErrorResponse},
    summary="Prompt cache statistics",
    tags=["Prompt cache"],
)
def get_prompt_cache_stats(request: HttpRequest) -> PromptCacheStats:
    """Entries, bytes, hits and misses since the engine started."""
    stats = services.glancing_engine().call(GetCacheStats(), CacheStats)
    return PromptCacheStats.model_validate(stats)


@router.post(
    "/cache/prompts/warmup",
    response={200: WarmupResult, (400, 404, 429, 500, 503): ErrorResponse},
    summary="Warm a system prompt",
    tags=["Prompt cache"],
)
async def warm_prompt_cache(request: HttpRequest, payload: WarmupRequest) -> WarmupResult:
    """Computes a system prompt's KV ahead of the first chat; answers when it is warm."""
    model = await sync_to_async(_model)(payload.model)
    # Asynchronous, unlike the rest: closing the connection has to stop the prefill.
    warm = warm_request(model=model, system_prompt=payload.system_prompt, pinned=payload.pin)
    warmed = await services.async_engine().call(warm, Warmed)
    return WarmupResult(
        id=warmed.entry_id,
        model=model.name,
        tokens=warmed.tokens,
        cached_tokens=warmed.cached_tokens,
        seconds=warmed.seconds,
        pinned=payload.pin,
    )


def _model(name: str | None) -> services.NamedModel:
    return services.default_model() if name is None else services.resolve_model(name)


@router.delete(
    "/cache/prompts",
    response={200: EvictionResult, 503: ErrorResponse},
    summary="Clear the prompt cache",
    tags=["Prompt cache"],
)
def clear_prompt_cache(request: HttpRequest) -> EvictionResult:
    """Drops every entry, pinned ones too, from memory and disk."""
    return EvictionResult(evicted=services.evict(entry_id=None))


@router.delete(
    "/cache/prompts/{entry_id}",
    response={200: EvictionResult, (404, 503): ErrorResponse},
    summary="Drop one prompt cache entry",
    tags=["Prompt cache"],
)
def evict_prompt_cache_entry(request: HttpRequest, entry_id: str) -> EvictionResult:
    """Drops one entry from memory and disk."""
    return EvictionResult(evicted=services.evict(entry_id=entry_id))


@router.get(
    "/cache/warm-prompts",
    response=WarmPromptList,
    summary="List the warm prompts",
    tags=["Warm prompts"],
)
def list_warm_prompts(request: HttpRequest) -> WarmPromptList:
    """The saved system prompts that the hub keeps warm, and how far each is."""
    return _warm_prompts(WarmPrompt.objects.all())


@router.post(
    "/cache/warm-prompts/warm",
    response={202: WarmPromptList, (400, 404): ErrorResponse},
    summary="Warm saved prompts",
    tags=["Warm prompts"],
)
def warm_saved_prompts(request: HttpRequest, payload: WarmPromptsRequest) -> Status[WarmPromptList]:
    """Has the worker warm the named prompts, or all enabled ones; the list says how far it is."""
    asked = WarmPrompt.objects.enabled() if payload.names is None else prompts_named(payload.names)
    keys = list(asked.values_list("pk", flat=True))
    queue_warming(prompts=asked)
    return Status(202, _warm_prompts(WarmPrompt.objects.filter(pk__in=keys)))


def _warm_prompts(prompts: WarmPromptQuerySet) -> WarmPromptList:
    rows = prompts.select_related("model", "adapter__base")
    return WarmPromptList(prompts=[WarmPromptOut.model_validate(row) for row in rows])
