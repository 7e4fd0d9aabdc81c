"""Text completions on their way in: OpenAI's request as what the engine is asked.

CompletionRequest → CompletionCall ⇢ generation.answers ⇢ completion_answer
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from apps.inference.api.chat import variant
from apps.inference.api.schemas.completion_request import CompletionRequest
from apps.inference.defaults import with_defaults
from apps.inference.engine.protocol import Generate
from apps.inference.services import NamedModel


@dataclass(frozen=True)
class CompletionCall:
    """One request on its way: what the engine is asked, and what the answer is labelled with."""

    requests: tuple[Generate, ...]
    """One for each choice: all those of the first prompt, then of the next."""
    model: str
    answers: int
    """Choices per prompt."""
    echoed: tuple[str | None, ...]
    """What each choice's text begins with; None where the engine has to tell it."""
    continues: bool
    """Whether anything is wanted behind the prompt."""
    include_usage: bool = False
    id: str = field(default_factory=lambda: f"cmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))


def completion_call(
    payload: CompletionRequest, model: NamedModel, *, client: str
) -> CompletionCall:
    """The request for ``model``; ``client`` names the caller for fair queueing."""
    options = payload.stream_options
    prompts = [prompt for prompt in payload.prompt for _ in range(payload.answers)]
    return CompletionCall(
        requests=tuple(
            variant(_request(payload, model, prompt, client), index % payload.answers)
            for index, prompt in enumerate(prompts)
        ),
        model=model.name,
        answers=payload.answers,
        echoed=tuple(_echoed(payload, prompt) for prompt in prompts),
        continues=payload.tokens_wanted > 0,
        include_usage=bool(options and options.include_usage),
    )


def _request(
    payload: CompletionRequest, model: NamedModel, prompt: str | tuple[int, ...], client: str
) -> Generate:
    structured = payload.structured_outputs
    request = Generate(
        model=model.spec,
        adapter=model.adapter_spec,
        prompt=prompt,
        suffix=payload.suffix,
        # The prompt's own tokens are told by the engine alone.
        score_prompt=_echoed(payload, prompt) is None,
        sampling=payload.sampling(
            # The engine always goes on; what is not wanted of it is not sent.
            max_tokens=max(1, payload.tokens_wanted),
            logprobs=payload.logprobs,
            grammar=structured.as_grammar if structured else None,
        ),
        client=client,
        priority=payload.priority or "interactive",
        deadline_seconds=payload.deadline_seconds,
        cache_salt=payload.cache_salt or "",
    )
    return with_defaults(request, model.model)


def _echoed(payload: CompletionRequest, prompt: str | tuple[int, ...]) -> str | None:
    if not payload.echo:
        return ""
    return prompt if isinstance(prompt, str) and payload.logprobs is None else None
