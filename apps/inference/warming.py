"""Warming: computing the KV of system prompts ahead of the first chat.

``warm_prompt`` is the one way in which a saved prompt gets warm, whoever asks for
it: the worker (for the admin, the API and the hub's start), `manage.py warm_cache`
and `mlx-hub warm`. How far it is stands in the prompt's row, for everybody to see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from apps.inference.client import EngineError
from apps.inference.engine.protocol import Event, Prefill, Prompt, Warm, Warmed
from apps.inference.models import WarmPrompt, WarmPromptQuerySet
from apps.inference.services import NamedModel, engine, glancing_engine

ROW_INTERVAL = 0.5
"""Seconds between two times that a row is told how far its prompt is."""

_INTERRUPTED = "The warm-up was interrupted. Warm it again."


class WarmPromptNotFound(Exception):
    """There is no saved prompt of this name; the message names those there are."""


def prompts_named(names: Sequence[str]) -> WarmPromptQuerySet:
    """The saved prompts of these names. Raises WarmPromptNotFound."""
    prompts = WarmPrompt.objects.filter(name__in=names)
    unknown = set(names) - set(prompts.values_list("name", flat=True))
    if unknown:
        known = ", ".join(WarmPrompt.objects.values_list("name", flat=True))
        raise WarmPromptNotFound(
            f"There is no warm prompt {min(unknown)!r}. "
            f"There are: {known or 'none yet; add one in the admin'}."
        )
    return prompts


def warm(
    *,
    model: NamedModel,
    system_prompt: str,
    pinned: bool = False,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Warmed:
    """Compute a system prompt's KV and keep it; returns when it is warm.

    ``on_event`` hears of loading and prefill on the way. Raises EngineError.
    """
    request = warm_request(model=model, system_prompt=system_prompt, pinned=pinned)
    with engine().stream(request) as events:
        for event in events:
            if isinstance(event, Warmed):
                return event
            on_event(event)
    raise EngineError("internal_error", "The engine ended the warm-up without its result.")


def warm_request(*, model: NamedModel, system_prompt: str, pinned: bool) -> Warm:
    """The engine call that warms a system prompt."""
    return Warm(
        model=model.spec, adapter=model.adapter_spec, system_prompt=system_prompt, pinned=pinned
    )


def warm_prompt(
    *, prompt: WarmPrompt, on_event: Callable[[Event], None] = lambda event: None
) -> Warmed:
    """Warm a saved prompt; its row says how far it is, and how it ended.

    Raises EngineError, after recording it.
    """
    row = _Row(prompt)

    def hear(event: Event) -> None:
        row.hear(event)
        on_event(event)

    prompt.warming_began()
    problem = _INTERRUPTED
    try:
        warmed = warm(
            model=NamedModel(prompt.model, prompt.adapter),
            system_prompt=prompt.system_prompt,
            pinned=prompt.pinned,
            on_event=hear,
        )
        problem = ""
    except EngineError as error:
        problem = error.message
        raise
    finally:  # also where Ctrl-C or a dying worker ends it
        if problem:
            prompt.warming_failed(problem)
    prompt.warming_succeeded(tokens=warmed.tokens)
    return warmed


def warm_after_loads() -> int:
    """Warm the enabled prompts of loaded models that were not tried since their load.

    How many were tried. A model that is not loaded stays so: nobody has asked for
    it. Raises EngineError where the engine can't be asked; a prompt that fails
    says so in its row.
    """
    tried = 0
    for loaded in glancing_engine().status().models:
        loaded_at = datetime.fromtimestamp(loaded.loaded_at, tz=UTC)
        for prompt in WarmPrompt.objects.left_cold(digest=loaded.digest, loaded_at=loaded_at):
            tried += 1
            try:
                warm_prompt(prompt=prompt)
            except EngineError as error:
                if error.code == "engine_unavailable":
                    raise
    return tried


class _Row:
    """Takes a warm-up's progress down in its row, not too often."""

    def __init__(self, prompt: WarmPrompt) -> None:
        self._prompt = prompt
        self._written_at = 0.0

    def hear(self, event: Event) -> None:
        match event:
            case Prompt(prompt_tokens=total, cached_tokens=done) | Prefill(done=done, total=total):
                now = time.monotonic()
                if now - self._written_at >= ROW_INTERVAL:
                    self._written_at = now
                    self._prompt.warming_is_at(done, total)
