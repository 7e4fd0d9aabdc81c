"""Chat completions on their way out, whole: engine events as OpenAI's answer.

    generation.answers ⇢ events → ChatCompletion

The engine calls are held open for exactly as long as the HTTP request lasts:
whatever ends the coroutine closes them, and with them the work in the engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apps.inference.api.answer_parts import Answer, Called, Said, Thought
from apps.inference.api.chat import ChatCall
from apps.inference.api.generation import answers
from apps.inference.api.schemas.chat_completion import (
    AssistantMessage,
    CalledFunction,
    ChatCompletion,
    Choice,
    ChoiceLogprobs,
    ChoiceTimings,
    CompletionTokensDetails,
    CompletionUsage,
    PromptTokensDetails,
    SpeculationFigures,
    TokenLogprob,
    ToolCall,
    TopLogprob,
)
from apps.inference.client import AsyncEngineClient
from apps.inference.engine import protocol
from apps.inference.engine.protocol import (
    Done,
    Usage,
)

LEAST_LOGPROB = -9999.0
"""OpenAI's figure for a token that can't come; JSON has no infinity."""


async def complete(engine: AsyncEngineClient, call: ChatCall) -> tuple[ChatCompletion, bool]:
    """The whole answer at once, and whether the response cache gave it. Raises EngineError."""
    grown = [Answer() for _ in call.requests]
    async with answers(engine, call.requests) as events:
        async for index, event in events:
            grown[index].hear(event)
    ended = [answer.ended for answer in grown]
    completion = ChatCompletion(
        id=call.id,
        created=call.created,
        model=call.model,
        choices=[_choice(call, index, answer) for index, answer in enumerate(grown)],
        usage=usage_of(done.usage for done in ended),
    )
    return completion, all(done.repeated for done in ended)


def _choice(call: ChatCall, index: int, answer: Answer) -> Choice:
    asked_for = call.requests[index].sampling.logprobs is not None
    said = [part for part in answer.parts if isinstance(part, Said)]
    tokens = [token for part in said for token in part.logprobs]
    return Choice(
        index=index,
        message=_message(answer),
        logprobs=ChoiceLogprobs(content=logprobs_of(tokens)) if asked_for else None,
        finish_reason=answer.ended.finish_reason,
        timings=timings_of(answer.ended),
    )


def _message(answer: Answer) -> AssistantMessage:
    text = "".join(part.text for part in answer.parts if isinstance(part, Said))
    thoughts = "".join(part.text for part in answer.parts if isinstance(part, Thought))
    calls = [
        ToolCall(id=part.id, function=CalledFunction(name=part.name, arguments=part.text))
        for part in answer.parts
        if isinstance(part, Called)
    ]
    return AssistantMessage(
        content=None if calls and not text else text,
        reasoning_content=thoughts or None,
        tool_calls=calls or None,
    )


def usage_of(usages: Iterable[Usage]) -> CompletionUsage:
    """Of a request: its prompt counts once, its answers each.

    What was cached is what the first to look found; the others found what that one computed.
    """
    each = list(usages)
    prompt, completion = each[0].prompt_tokens, sum(usage.completion_tokens for usage in each)
    return CompletionUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=PromptTokensDetails(
            cached_tokens=min(usage.cached_tokens for usage in each)
        ),
        completion_tokens_details=CompletionTokensDetails(
            reasoning_tokens=sum(usage.reasoning_tokens for usage in each)
        ),
    )


def timings_of(done: Done) -> ChoiceTimings:
    """Where an answer's time went."""
    proposed = done.speculation
    figures = None if proposed is None else SpeculationFigures.model_validate(proposed)
    return ChoiceTimings(**done.timings.model_dump(), speculation=figures)


def logprobs_of(tokens: Iterable[protocol.TokenLogprob]) -> list[TokenLogprob]:
    """Log probabilities in OpenAI's shape."""
    return [
        TokenLogprob(**top_of(token), top_logprobs=[TopLogprob(**top_of(top)) for top in token.top])
        for token in tokens
    ]


def top_of(token: protocol.TopToken) -> dict[str, Any]:
    """A token and how likely it was, in the shape that OpenAI's APIs share."""
    logprob = max(token.logprob, LEAST_LOGPROB)
    return {"token": token.text, "bytes": list(token.bytes), "logprob": logprob}
