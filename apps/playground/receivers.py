"""What the registry is told when a model may be deleted."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from apps.models.consequences import Consequence
from apps.models.models import Adapter, LocalModel
from apps.models.signals import deletion_considered
from apps.playground.models import Conversation


@receiver(deletion_considered, sender=LocalModel)
def tell_of_conversations(
    sender: type[LocalModel], model: LocalModel, adapter: Adapter | None, **kwargs: Any
) -> list[Consequence]:
    """How many conversations use what is to be deleted."""
    using = Conversation.objects.filter(**_about(model, adapter)).count()
    if not using:
        return []
    subject = "1 conversation uses it" if using == 1 else f"{using} conversations use it"
    what_next = "goes on without it" if adapter else "goes on once another model is chosen"
    return [Consequence(f"{subject}: what was said stays, and {what_next}.")]


def _about(model: LocalModel, adapter: Adapter | None) -> dict[str, Any]:
    return {"model": model} if adapter is None else {"adapter": adapter}
