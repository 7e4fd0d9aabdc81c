"""What the web and worker processes ask of the engine, and keep of its answers."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches

from django.conf import settings
from django.db import transaction

from apps.audit.recording import record
from apps.inference.client import AsyncEngineClient, EngineClient
from apps.inference.engine.protocol import (
    AdapterSpec,
    CacheEntries,
    CacheEntry,
    DraftSpec,
    EvictCache,
    Evicted,
    ListCache,
    ModelSpec,
    Ok,
    PinCache,
)
from apps.inference.keys.caller import permitted
from apps.inference.models import PromptCacheEntry
from apps.models.models import Adapter, LocalModel, LocalModelQuerySet

GLANCE_TIMEOUT = 2.5
"""Seconds to wait for what the engine answers at once, whatever it is busy with."""

TURN_TIMEOUT = 30.0
"""Seconds to wait for what the engine does between two steps, or once a load is over."""


class ModelNotFound(Exception):
    """The registry has no such model or adapter; the message says how to get one."""


class ModelUnsuitable(ModelNotFound):
    """The model is there, but is not of the kind that the call needs."""


MOST_NAMED = 8
"""Models that an error names; a hub may know thousands."""


@dataclass(frozen=True)
class NamedModel:
    """What a name in a call stands for: a model, or an adapter over it."""

    model: LocalModel
    adapter: Adapter | None = None

    @property
    def name(self) -> str:
        """The name that calls use: ``model`` or ``model:adapter``."""
        return str(self.adapter) if self.adapter else self.model.slug

    @property
    def spec(self) -> ModelSpec:
        return spec_for(self.model)

    @property
    def adapter_spec(self) -> AdapterSpec | None:
        adapter = self.adapter
        if adapter is None:
            return None
        return AdapterSpec(name=adapter.slug, path=adapter.path, digest=adapter.digest)


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
    draft = model.draft
    ttl = model.ttl_minutes
    return ModelSpec(
        name=model.slug,
        path=model.path,
        digest=model.digest,
        ttl_seconds=None if ttl is None else ttl * 60,
        pinned=model.pinned,
        context_limit=model.context_limit,
        draft=DraftSpec(name=draft.slug, path=draft.path, digest=draft.digest) if draft else None,
    )


def known_models() -> LocalModelQuerySet:
    """The models that a call may name: its API key may be for some of them only."""
    return permitted(LocalModel.objects.all())


def all_models() -> list[NamedModel]:
    """Everything that a call may name: each model, followed by the adapters over it."""
    named = []
    for model in known_models().prefetch_related("adapters"):
        named.append(NamedModel(model))
        named += [NamedModel(model, adapter) for adapter in model.adapters.all()]
    return named


def embedding_model(name: str) -> NamedModel:
    """As ``resolve_model``, for a model that makes vectors. Raises ModelNotFound."""
    named = find_model(name)
    if not named.model.embeds:
        raise ModelUnsuitable(
            f"{named.name} generates text and makes no vectors. Name an embedding model; "
            "/v1/models says which they are."
        )
    return named


def resolve_model(name: str) -> NamedModel:
    """The model of this name, alias or hub repository id, for generating text.

    ``:`` and an adapter's name may follow. Raises ModelNotFound, or ModelUnsuitable for a
    model that makes vectors.
    """
    named = find_model(name)
    if named.model.embeds:
        raise ModelUnsuitable(
            f"{named.name} is an embedding model: it makes vectors and writes no text. Name "
            "another one, or send the text to /v1/embeddings."
        )
    return named


def _known_like(name: str) -> str:
    """The models that somebody who asked for ``name`` may have meant: all where they are few."""
    slugs = list(known_models().order_by("slug").values_list("slug", flat=True))
    if len(slugs) <= MOST_NAMED:
        return ", ".join(slugs) or "there is none yet"
    near = get_close_matches(name, slugs, n=MOST_NAMED, cutoff=0.4) or slugs[:MOST_NAMED]
    return f"{', '.join(near)}, or one of {len(slugs) - len(near)} more"


def find_model(name: str) -> NamedModel:
    """As ``resolve_model``, for a model of any kind."""
    base, colon, adapter_name = name.partition(":")
    # With its draft: whoever asks the engine may not be able to wait for the database.
    model = known_models().named(base).select_related("draft").first()
    if model is None:
        raise ModelNotFound(
            f"The model {base!r} is not on this hub. "
            f"Get it with `mlx-hub pull {shlex.quote(base)}`, or name one that is here: "
            f"{_known_like(base)}."
        )
    if not colon:
        return NamedModel(model)
    adapter = Adapter.objects.named(model, adapter_name).first()
    if adapter is None:
        known = ", ".join(str(one) for one in model.adapters.select_related("base"))
        raise ModelNotFound(
            f"The model {model.slug!r} has no adapter {adapter_name!r}. "
            f"It has: {known or 'none yet'}. Name one of these, or {model.slug!r} alone."
        )
    # What was found knows its base without being asked for it again.
    adapter.base = model
    return NamedModel(model, adapter)


def default_model() -> NamedModel:
    """The model for calls that name none: the one that came first. Raises ModelNotFound."""
    model = known_models().writing().select_related("draft").order_by("created_at").first()
    if model is None:
        raise ModelNotFound("There is no model on this hub yet. Get one with `mlx-hub pull NAME`.")
    return NamedModel(model)


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
    with transaction.atomic():
        (rows if entry_id is None else rows.filter(pk=entry_id)).delete()
        record("prompt-cache.evict", entry_id or "all entries", entries=gone)
    return gone


def pin(*, entry_id: str, pinned: bool) -> None:
    """Keep an entry from eviction, or stop keeping it. Raises EngineError."""
    attentive_engine().call(PinCache(entry_id=entry_id, pinned=pinned), Ok)
    with transaction.atomic():
        PromptCacheEntry.objects.filter(pk=entry_id).update(pinned=pinned)
        record("prompt-cache.pin" if pinned else "prompt-cache.unpin", entry_id)
