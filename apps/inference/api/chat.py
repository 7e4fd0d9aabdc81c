"""Chat completions on their way in: OpenAI's request as what the engine is asked.

ChatCompletionRequest → ChatCall ⇢ generation.answers ⇢ chat_answer
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from pydantic import JsonValue

from apps.inference.api.schemas.chat_request import ChatCompletionRequest, ChatMessage
from apps.inference.api.schemas.tools import engine_choice
from apps.inference.defaults import with_defaults
from apps.inference.engine.protocol import Generate, Grammar, Message, Sampling
from apps.inference.services import NamedModel

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
    request = Generate(
        model=model.spec,
        adapter=model.adapter_spec,
        messages=tuple(engine_message(each) for each in payload.messages),
        tools=tuple(tool.as_tool for tool in payload.tools or ()),
        tool_choice=engine_choice(payload.tool_choice, parallel=payload.parallel_tool_calls),
        template_options=_template_options(payload),
        sampling=_sampling(payload),
        client=client,
        priority=payload.priority or ("batch" if payload.service_tier == "flex" else "interactive"),
        deadline_seconds=payload.deadline_seconds,
        cache_salt=payload.cache_salt or "",
    )
    first = with_defaults(request, model.model)
    options = payload.stream_options
    return ChatCall(
        tuple(variant(first, index) for index in range(payload.n or 1)),
        model.name,
        include_usage=bool(options and options.include_usage),
    )


def engine_message(message: ChatMessage) -> Message:
    """The message as the engine takes it."""
    return Message(
        role=message.role,
        content=message.text,
        reasoning=message.reasoning_content or "",
        tool_calls=tuple(call.as_call for call in message.tool_calls or ()),
        tool_call_id=message.tool_call_id,
        name=message.name if message.role == "tool" else None,
    )


def _template_options(payload: ChatCompletionRequest) -> dict[str, JsonValue]:
    effort = payload.reasoning_effort
    told: dict[str, JsonValue] = {} if effort is None else {"reasoning_effort": effort}
    return told | (payload.chat_template_kwargs or {})


def _sampling(payload: ChatCompletionRequest) -> Sampling:
    return payload.sampling(
        max_tokens=payload.max_completion_tokens or payload.max_tokens,
        logprobs=(payload.top_logprobs or 0) if payload.logprobs else None,
        grammar=_grammar(payload),
    )


def _grammar(payload: ChatCompletionRequest) -> Grammar | None:
    if payload.structured_outputs is not None:
        return payload.structured_outputs.as_grammar
    return payload.response_format.grammar if payload.response_format else None


def variant(request: Generate, index: int) -> Generate:
    """The request for the ``index``-th answer: with a seed of its own, where there is one."""
    seed = request.sampling.seed
    if seed is None or index == 0:
        return request
    # In the range that a seed may be in, from its one end on to its other.
    seed = (seed + index + _SEEDS // 2) % _SEEDS - _SEEDS // 2
    sampling = request.sampling.model_copy(update={"seed": seed})
    return request.model_copy(update={"sampling": sampling})
