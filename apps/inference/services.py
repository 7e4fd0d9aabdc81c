"""What the web and worker processes ask of the engine, and keep of its answers."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.inference.client import AsyncEngineClient, EngineClient, EngineError
from apps.inference.engine.protocol import (
    CacheEntries,
    CacheEntry,
    Event,
    EvictCache,
    Evicted,
    ListCache,
    ModelSpec,
    Ok,
    PinCache,
    Warm,
    Warmed,
)
from apps.inference.models import PromptCacheEntry, WarmPrompt
from apps.models.models import LocalModel

GLANCE_TIMEOUT = 2.5
"""Seconds to wait for what the engine answers at once, whatever it is busy with."""

TURN_TIMEOUT = 30.0
"""Seconds to wait for what the engine does between two steps, or once a load is over."""


class ModelNotFound(Exception):
    """The registry has no such model; the message says how to get one."""


# --- the engine and its models ------------------------------------------------


def engine() -> EngineClient:
    """For calls that compute or load, and tell how far they are."""
    return EngineClient(settings.HUB.engine_socket)


def glancing_engine() -> EngineClient:
    """For questions: status, cache entries and statistics."""
    return EngineClient(settings.HUB.engine_socket, silence_timeout=GLANCE_TIMEOUT)


def attentive_engine() -> EngineClient:
    """For small changes, which wait for the engine's next turn: evict, pin, unload."""
    return EngineClient(settings.HUB.engine_socket, silence_timeout=TURN_TIMEOUT)


def async_engine() -> AsyncEngineClient:
    """``engine`` for coroutines."""
    return AsyncEngineClient(settings.HUB.engine_socket)


def spec_for(model: LocalModel) -> ModelSpec:
    """The model as the engine's calls name it."""
    return ModelSpec(name=model.slug, path=model.path, digest=model.digest)


def resolve_model(name: str) -> LocalModel:
    """The model of this name or hub repository id. Raises ModelNotFound."""
    model = LocalModel.objects.named(name).order_by("created_at").first()
    if model is None:
        known = ", ".join(LocalModel.objects.order_by("slug").values_list("slug", flat=True))
        raise ModelNotFound(
            f"The model {name!r} is not on this hub. "
            f"Get it with `mlx-hub pull {shlex.quote(name)}`, or name one that is here: "
            f"{known or 'there is none yet'}."
        )
    return model


def default_model() -> LocalModel:
    """The model for calls that name none: the one that came first. Raises ModelNotFound."""
    model = LocalModel.objects.order_by("created_at").first()
    if model is None:
        raise ModelNotFound("There is no model on this hub yet. Get one with `mlx-hub pull NAME`.")
    return model


# --- the prompt cache ---------------------------------------------------------


def sync_cache_entries() -> int:
    """Make the mirror equal to the engine's prompt cache; the number of its entries.

    Raises EngineError, and then leaves the mirror as it was.
    """
    entries = glancing_engine().call(ListCache(), CacheEntries).entries
    rows = [_mirrored(entry) for entry in entries]
    fields = [field.name for field in PromptCacheEntry._meta.fields if not field.primary_key]
    with transaction.atomic():
        PromptCacheEntry.objects.exclude(pk__in=[row.pk for row in rows]).delete()
        PromptCacheEntry.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["id"], update_fields=fields
        )
    return len(rows)


def _mirrored(entry: CacheEntry) -> PromptCacheEntry:
    fields = entry.model_dump()
    for name in ("created_at", "last_used_at"):
        fields[name] = datetime.fromtimestamp(fields[name], tz=UTC)
    return PromptCacheEntry(**fields)


def evict(*, entry_id: str | None) -> int:
    """Drop one entry, or all where it is None; how many went. Raises EngineError."""
    gone = attentive_engine().call(EvictCache(entry_id=entry_id), Evicted).entries
    rows = PromptCacheEntry.objects.all()
    (rows if entry_id is None else rows.filter(pk=entry_id)).delete()
    return gone


def pin(*, entry_id: str, pinned: bool) -> None:
    """Keep an entry from eviction, or stop keeping it. Raises EngineError."""
    attentive_engine().call(PinCache(entry_id=entry_id, pinned=pinned), Ok)
    PromptCacheEntry.objects.filter(pk=entry_id).update(pinned=pinned)


def warm(
    *,
    model: LocalModel,
    system_prompt: str,
    pinned: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Warmed:
    """Compute a system prompt's KV and keep it; returns when it is warm.

    ``on_event`` hears of loading and prefill on the way. Raises EngineError.
    """
    request = Warm(model=spec_for(model), system_prompt=system_prompt, pinned=pinned)
    with engine().stream(request) as events:
        for event in events:
            if isinstance(event, Warmed):
                return event
            on_event(event)
    raise EngineError("internal_error", "The engine ended the warm-up without its result.")


def warm_saved(
    *, prompt: WarmPrompt, on_event: Callable[[Event], None] = lambda event: None
) -> Warmed:
    """Warm a saved prompt and record how that went. Raises EngineError, after recording it."""
    try:
        warmed = warm(
            model=prompt.model,
            system_prompt=prompt.system_prompt,
            pinned=prompt.pinned,
            on_event=on_event,
        )
    except EngineError as error:
        prompt.warming_failed(error.message)
        raise
    prompt.warming_succeeded(timezone.now())
    return warmed
