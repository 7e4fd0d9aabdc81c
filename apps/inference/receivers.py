"""What the engine is told when the registry changes."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from apps.inference.loads import model_loads
from apps.inference.services import engine, spec_for
from apps.inference.snapshot import look_at_engine
from apps.models.models import LocalModel
from apps.models.signals import serving_changed


@receiver(serving_changed, sender=LocalModel)
def tell_engine(sender: type[LocalModel], model: LocalModel, **kwargs: Any) -> None:
    """Let a loaded model be served as it now says; others are with the call that loads them."""
    status = look_at_engine().status
    if status is not None and any(loaded.digest == model.digest for loaded in status.models):
        # Of a loaded model it loads at most the draft.
        model_loads.start(spec_for(model), engine())
