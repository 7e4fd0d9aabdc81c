"""Chat completions on their way in: OpenAI's request as what the engine is asked.

ChatCompletionRequest → ChatCall ⇢ generation.answers ⇢ chat_answer
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from apps.inference.api.schemas.chat_request import ChatCompletionRequest
from apps.inference.engine.protocol import Generate, Grammar, Message, Sampling
from apps.inference.services import NamedModel

GREEDY_TOP_P = 1e-6
"""OpenAI allows top_p 0; the smallest nucleus there is holds one token."""

_SEEDS = 2**64


@dataclass(frozen=True)
class ChatCall:
    """One request on its way: what the engine is asked, and what the answer is labelled with."""

    requests: tuple[Generate, ...]
    """One for each answer."""
    model: str
    include_usage: bool = False
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))


def chat_call(payload: ChatCompletionRequest, model: NamedModel, *, client: str) -> ChatCall:
    """The request for ``model``; ``client`` names the caller for fair queueing."""
    first = Generate(
        model=model.spec,
        adapter=model.adapter_spec,
        messages=tuple(Message(role=each.role, content=each.text) for each in payload.messages),
        sampling=_sampling(payload),
        client=client,
        priority=payload.priority or ("batch" if payload.service_tier == "flex" else "interactive"),
        deadline_seconds=payload.deadline_seconds,
        cache_salt=payload.cache_salt or "",
    )
    options = payload.stream_options
    return ChatCall(
        tuple(_variant(first, index) for index in range(payload.n or 1)),
        model.name,
        include_usage=bool(options and options.include_usage),
    )


def _sampling(payload: ChatCompletionRequest) -> Sampling:
    given: dict[str, Any] = {
        "temperature": payload.temperature,
        "top_p": None if payload.top_p is None else max(payload.top_p, GREEDY_TOP_P),
        "top_k": payload.top_k,
        "min_p": payload.min_p,
        "presence_penalty": payload.presence_penalty,
        "frequency_penalty": payload.frequency_penalty,
        "repetition_penalty": payload.repetition_penalty,
    }
    return Sampling(
        **{name: value for name, value in given.items() if value is not None},
        logit_bias={int(token): bias for token, bias in (payload.logit_bias or {}).items()},
        seed=payload.seed,
        max_tokens=payload.max_completion_tokens or payload.max_tokens,
        stop=tuple(payload.stop),
        logprobs=(payload.top_logprobs or 0) if payload.logprobs else None,
        grammar=_grammar(payload),
    )


def _grammar(payload: ChatCompletionRequest) -> Grammar | None:
    if payload.structured_outputs is not None:
        return payload.structured_outputs.as_grammar
    return payload.response_format.grammar if payload.response_format else None


def _variant(request: Generate, index: int) -> Generate:
    """The request for the ``index``-th answer: with a seed of its own, where there is one."""
    seed = request.sampling.seed
    if seed is None or index == 0:
        return request
    # In the range that a seed may be in, from its one end on to its other.
    seed = (seed + index + _SEEDS // 2) % _SEEDS - _SEEDS // 2
    sampling = request.sampling.model_copy(update={"seed": seed})
    return request.model_copy(update={"sampling": sampling})
