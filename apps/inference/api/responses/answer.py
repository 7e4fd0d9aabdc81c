"""The Responses API on its way out: an answer's parts as OpenAI's output items."""

from __future__ import annotations

import time
from typing import Any

from apps.inference.api.answer_parts import Answer, Called, Part, Said, Thought
from apps.inference.api.chat_answer import top_of
from apps.inference.api.errors import Problem
from apps.inference.api.responses.items import InputItem, ItemReference, MessageItem
from apps.inference.api.responses.request import Mode
from apps.inference.api.responses.response import (
    FunctionCall,
    IncompleteDetails,
    InputTokensDetails,
    ItemStatus,
    OutputItem,
    OutputMessage,
    OutputText,
    OutputTokensDetails,
    ReasoningOutput,
    ReasoningText,
    ResponseError,
    ResponseObject,
    ResponseUsage,
)
from apps.inference.api.responses.translation import ResponseCall
from apps.inference.api.schemas.chat_completion import TokenLogprob, TopLogprob
from apps.inference.engine import protocol

_KINDS = {Thought: "rs", Said: "msg", Called: "fc"}
"""How the ids of an output's items begin."""


def begun(call: ResponseCall) -> ResponseObject:
    """The response before anything is in it."""
    asked = call.payload
    sampling = call.request.sampling
    return ResponseObject(
        id=call.id,
        created_at=call.created_at,
        status="in_progress",
        model=call.model,
        instructions=asked.instructions,
        previous_response_id=asked.previous_response_id,
        max_output_tokens=asked.max_output_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p if asked.top_p is None else asked.top_p,
        top_logprobs=asked.top_logprobs or 0,
        text=_text(call),
        reasoning={
            "effort": asked.reasoning.effort if asked.reasoning else None,
            "summary": asked.reasoning.summary if asked.reasoning else None,
        },
        tools=[_tool(tool.model_dump()) for tool in asked.tools or []],
        tool_choice=_choice(call),
        parallel_tool_calls=asked.parallel_tool_calls is not False,
        store=asked.keeps,
        metadata=asked.metadata or {},
        service_tier="flex" if asked.service_tier == "flex" else "default",
        max_tool_calls=asked.max_tool_calls,
        prompt_cache_key=asked.prompt_cache_key,
        safety_identifier=asked.safety_identifier,
        user=asked.user,
    )


def ended(call: ResponseCall, answer: Answer) -> ResponseObject:
    """The whole response. Raises EngineError where the answer has no end."""
    done = answer.ended
    cut = done.finish_reason == "length"
    last = len(answer.parts) - 1
    output = [
        item_of(call, place, part, "incomplete" if cut and place == last else "completed")
        for place, part in enumerate(answer.parts)
    ]
    changes: dict[str, Any] = {
        "status": "incomplete" if cut else "completed",
        "completed_at": None if cut else int(time.time()),
        "incomplete_details": IncompleteDetails(reason="max_output_tokens") if cut else None,
        "output": output,
        "usage": _usage(done.usage),
    }
    return begun(call).model_copy(update=changes)


def broken_off(call: ResponseCall, answer: Answer, problem: Problem) -> ResponseObject:
    """The response that could not be finished, with what there is of it."""
    code = "server_error"
    if problem.status == 429:
        code = "rate_limit_exceeded"
    elif problem.status < 500:
        code = "invalid_prompt"
    output = [item_of(call, place, part, "incomplete") for place, part in enumerate(answer.parts)]
    error = ResponseError.model_validate({"code": code, "message": problem.body.error.message})
    changes = {"status": "failed", "error": error, "output": output}
    return begun(call).model_copy(update=changes)


def item_of(call: ResponseCall, place: int, part: Part, status: ItemStatus) -> OutputItem:
    """The output's item number ``place``."""
    item_id = call.item_id(_KINDS[type(part)], place)
    match part:
        case Thought():
            content = [ReasoningText(text=part.text)]
            return ReasoningOutput(id=item_id, status=status, content=content)
        case Said():
            text = OutputText(text=part.text, logprobs=logprobs_of(part.logprobs))
            return OutputMessage(id=item_id, status=status, content=[text])
        case Called():
            return FunctionCall(
                id=item_id,
                status=status,
                call_id=part.id,
                name=part.name,
                arguments=part.text,
            )


def logprobs_of(tokens: list[protocol.TokenLogprob]) -> list[TokenLogprob]:
    """Log probabilities in the shape of the Responses API."""
    return [
        TokenLogprob(**top_of(token), top_logprobs=[TopLogprob(**top_of(top)) for top in token.top])
        for token in tokens
    ]


def kept_input(call: ResponseCall) -> list[dict[str, Any]]:
    """The items that were new with the request, as they are listed and kept."""
    items = enumerate(call.payload.input)
    return [_listed(call, place, item) for place, item in items]


def _listed(call: ResponseCall, place: int, item: InputItem) -> dict[str, Any]:
    if isinstance(item, ItemReference):
        return item.model_dump()
    kind = {"message": "msg", "function_call": "fc", "reasoning": "rs"}.get(item.type or "", "fco")
    values = item.model_dump(by_alias=True, exclude_none=True)
    if isinstance(item, MessageItem):
        kind = "msg"
        values["type"] = "message"
        if item.role == "assistant":
            values["content"] = [{"type": "output_text", "text": item.text, "annotations": []}]
    values.setdefault("id", call.item_id(kind, f"in{place}"))
    return {"status": "completed"} | values


def _usage(usage: protocol.Usage) -> ResponseUsage:
    return ResponseUsage(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=usage.cached_tokens),
        output_tokens=usage.completion_tokens,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=usage.reasoning_tokens),
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )


def _text(call: ResponseCall) -> dict[str, Any]:
    text = call.payload.text
    wanted = text.format if text else None
    return {
        "format": wanted.model_dump(by_alias=True) if wanted else {"type": "text"},
        "verbosity": text.verbosity if text else None,
    }


def _tool(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("type", "name", "description", "parameters", "strict")}


def _choice(call: ResponseCall) -> str | dict[str, Any]:
    choice = call.payload.tool_choice
    if choice is None:
        return "auto"
    return choice.type if isinstance(choice, Mode) else choice.model_dump()
