"""What the tests of warm prompts look at."""

from __future__ import annotations

from apps.inference.engine.protocol import Warm
from apps.inference.models import WarmPrompt
from tests.fake_engine import FakeEngine


def states() -> dict[str, str]:
    """Of the prompts, by name."""
    return dict(WarmPrompt.objects.values_list("name", "state"))


def warmed(engine: FakeEngine) -> list[str]:
    """The system prompts that the engine was asked to warm, in their order."""
    return [call.request.system_prompt for call in engine.calls_of(Warm)]
