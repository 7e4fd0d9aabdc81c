"""What the engine is told when the registry changes."""

from __future__ import annotations

import logging
from typing import Any

from django.db.models import QuerySet
from django.dispatch import receiver
from django.template.defaultfilters import filesizeformat, pluralize

from apps.inference.client import EngineError, EngineUnavailable
from apps.inference.engine.protocol import Ok, UnloadModel
from apps.inference.loads import model_loads
from apps.inference.models import PromptCacheEntry, WarmPrompt
from apps.inference.services import attentive_engine, engine, evict, spec_for
from apps.inference.snapshot import look_at_engine
from apps.models.consequences import Consequence
from apps.models.errors import ModelInUse
from apps.models.models import Adapter, LocalModel
from apps.models.signals import deletion_begins, deletion_considered, serving_changed

logger = logging.getLogger(__name__)


@receiver(serving_changed, sender=LocalModel)
def tell_engine(sender: type[LocalModel], model: LocalModel, **kwargs: Any) -> None:
    """Let a loaded model be served as it now says; others are with the call that loads them."""
    status = look_at_engine().status
    if status is not None and any(loaded.digest == model.digest for loaded in status.models):
        # Of a loaded model it loads at most the draft.
        model_loads.start(spec_for(model), engine())


@receiver(deletion_considered, sender=LocalModel)
def tell_what_goes(
    sender: type[LocalModel], model: LocalModel, adapter: Adapter | None, **kwargs: Any
) -> list[Consequence]:
    """Warm prompts, cached KV and keys that a deletion takes along."""
    found = []
    prompts = WarmPrompt.objects.filter(**_about(model, adapter)).values_list("name", flat=True)
    if names := ", ".join(prompts):
        found.append(Consequence(f"Warm prompts go with it: {names}."))
    if adapter is not None:
        return found
    cached = list(_cached(model))
    if cached:
        prompts_held = f"{len(cached)} prompt{pluralize(len(cached))}"
        kept = filesizeformat(sum(entry.bytes for entry in cached))
        found.append(Consequence(f"Its cached KV is dropped: {prompts_held}, {kept}."))
    if keys := ", ".join(model.api_keys.values_list("name", flat=True)):
        found.append(Consequence(f"These API keys may use it, and will not any more: {keys}."))
    status = look_at_engine().status
    if status is not None and any(loaded.digest == model.digest for loaded in status.models):
        found.append(Consequence("It is loaded, and will be unloaded."))
    return found


@receiver(deletion_begins, sender=LocalModel)
def let_go(
    sender: type[LocalModel], model: LocalModel, adapter: Adapter | None, **kwargs: Any
) -> None:
    """Unload a model that is about to be deleted. Raises ModelInUse while it answers.

    An adapter's KV and factors go by themselves: nobody can name them any more.
    """
    if adapter is not None:
        return
    model_loads.cancel(model.digest)
    try:
        attentive_engine().call(UnloadModel(digest=model.digest), Ok)
    except EngineUnavailable:
        return  # what is not up holds nothing; what it kept on disk it drops in time
    except EngineError as error:
        if error.code != "model_not_loaded":
            raise ModelInUse(error.message) from error
    if not LocalModel.objects.exclude(pk=model.pk).filter(digest=model.digest).exists():
        _drop_cached(model)


def _drop_cached(model: LocalModel) -> None:
    for entry in _cached(model):
        try:
            evict(entry_id=entry.pk)
        except EngineError as error:
            # It would be dropped for age anyway: no reason to keep the model.
            logger.info("The cached prompt %s was not dropped: %s", entry.pk, error.message)


def _cached(model: LocalModel) -> QuerySet[PromptCacheEntry]:
    return PromptCacheEntry.objects.filter(model_digest=model.digest)


def _about(model: LocalModel, adapter: Adapter | None) -> dict[str, Any]:
    return {"model": model} if adapter is None else {"adapter": adapter}
