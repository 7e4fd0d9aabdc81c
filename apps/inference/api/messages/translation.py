"""The Messages API on its way in: Anthropic's request as what the engine is asked."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from pydantic import JsonValue

from apps.inference.api.messages.cache_mark import cache_mark
from apps.inference.api.messages.content import (
    Block,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    joined,
)
from apps.inference.api.messages.request import (
    MessageParam,
    MessagesRequest,
    TokenCountRequest,
    Tool,
    ToolChoiceNone,
    ToolChoiceTool,
)
from apps.inference.api.schemas.sampling import GREEDY_TOP_P
from apps.inference.defaults import with_defaults
from apps.inference.engine import protocol
from apps.inference.engine.protocol import Generate, Grammar, Message, Sampling, Tokenize
from apps.inference.services import NamedModel

_BILLING = "x-anthropic-billing-header:"
"""How a block begins that some clients put before their system prompt. It is different in
every request and meant for Anthropic's accounts: as a part of the prompt it would keep
any KV of the conversation from being used again."""


@dataclass(frozen=True)
class MessagesCall:
    """One request on its way: what the engine is asked, and what the answer is labelled with."""

    request: Generate
    model: str
    max_tokens: int
    shows_thinking: bool = True
    cache_ttl: str | None = None
    """What the last mark of a prefix to cache says; None where there is none."""
    id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")


def messages_call(payload: MessagesRequest, model: NamedModel, *, client: str) -> MessagesCall:
    """The request for ``model``; ``client`` names the caller for fair queueing."""
    thinking = payload.thinking
    mark, control = cache_mark(payload, _messages)
    request = Generate(
        model=model.spec,
        adapter=model.adapter_spec,
        messages=_messages(payload),
        tools=_tools(payload),
        tool_choice=_tool_choice(payload),
        template_options=_template_options(payload),
        sampling=_sampling(payload),
        client=client,
        cache_mark=mark,
    )
    return MessagesCall(
        with_defaults(request, model.model),
        model.name,
        payload.max_tokens,
        shows_thinking=thinking is None or thinking.display != "omitted",
        cache_ttl=None if control is None else control.ttl,
    )


def tokenize_call(payload: TokenCountRequest, model: NamedModel) -> Tokenize:
    """The question how many tokens the prompt has."""
    return Tokenize(
        model=model.spec,
        messages=_messages(payload),
        tools=_tools(payload),
        template_options=_template_options(payload),
    )


# --- the conversation ---------------------------------------------------------


def _messages(payload: TokenCountRequest) -> tuple[Message, ...]:
    system = joined([block for block in payload.system if not block.text.startswith(_BILLING)])
    opening = [Message(role="system", content=system)] if system else []
    return (*opening, *_turns(payload.messages))


def _turns(params: Sequence[MessageParam]) -> Iterator[Message]:
    """Anthropic takes messages of one role that follow each other for one turn."""
    names: dict[str, str] = {}
    for role, run in groupby(params, key=lambda param: param.role):
        blocks = [block for param in run for block in param.content]
        if role == "assistant":
            yield _assistant(blocks)
            names |= {block.id: block.name for block in blocks if isinstance(block, ToolUseBlock)}
        elif role == "system":
            yield Message(role="system", content=_text(blocks))
        else:
            yield from _user(blocks, names)


def _assistant(blocks: Sequence[Block]) -> Message:
    return Message(
        role="assistant",
        content=_text(blocks),
        reasoning="".join(each.thinking for each in blocks if isinstance(each, ThinkingBlock)),
        tool_calls=tuple(
            protocol.ToolCall(id=block.id, name=block.name, arguments=_json(block.input))
            for block in blocks
            if isinstance(block, ToolUseBlock)
        ),
    )


def _user(blocks: Sequence[Block], names: dict[str, str]) -> Iterator[Message]:
    """What tools returned are messages of their own, in the order of the blocks."""
    for is_result, run in groupby(blocks, key=lambda block: isinstance(block, ToolResultBlock)):
        if is_result:
            yield from _results(run, names)
        else:
            yield Message(role="user", content=_text(run))


def _results(blocks: Iterable[Block], names: dict[str, str]) -> Iterator[Message]:
    for block in blocks:
        assert isinstance(block, ToolResultBlock)
        content = joined(block.content)
        yield Message(
            role="tool",
            content=f"Error: {content}" if block.is_error else content,
            tool_call_id=block.tool_use_id,
            name=names.get(block.tool_use_id),
        )


def _text(blocks: Iterable[Block]) -> str:
    return joined([block for block in blocks if isinstance(block, TextBlock)])


# --- tools and options --------------------------------------------------------


def _tools(payload: TokenCountRequest) -> tuple[protocol.Tool, ...]:
    """Those that the model is shown."""
    if isinstance(payload.tool_choice, ToolChoiceNone):
        return ()
    return tuple(_tool(tool) for tool in payload.tools)


def _tool(tool: Tool) -> protocol.Tool:
    return protocol.Tool(
        name=tool.name,
        description=tool.description or "",
        parameters=_json(tool.input_schema),
        strict=bool(tool.strict),
    )


def _tool_choice(payload: TokenCountRequest) -> protocol.ToolChoice:
    choice = payload.tool_choice
    if choice is None:
        return protocol.ToolChoice()
    if isinstance(choice, ToolChoiceNone):
        return protocol.ToolChoice(mode="none")
    return protocol.ToolChoice(
        mode="auto" if choice.type == "auto" else "required",
        name=choice.name if isinstance(choice, ToolChoiceTool) else None,
        parallel=not choice.disable_parallel_tool_use,
    )


def _template_options(payload: TokenCountRequest) -> dict[str, JsonValue]:
    options: dict[str, JsonValue] = {}
    thinking, config = payload.thinking, payload.output_config
    if thinking is not None:
        options["enable_thinking"] = thinking.type != "disabled"
        if thinking.budget_tokens is not None:
            options["thinking_budget"] = thinking.budget_tokens
    if config is not None and config.effort is not None:
        options["reasoning_effort"] = config.effort
    return options


def _sampling(payload: MessagesRequest) -> Sampling:
    given: dict[str, Any] = {
        "temperature": payload.temperature,
        "top_p": None if payload.top_p is None else max(payload.top_p, GREEDY_TOP_P),
        "top_k": payload.top_k,
    }
    config = payload.output_config
    schema = config.format.schema_ if config and config.format else None
    return Sampling(
        **{name: value for name, value in given.items() if value is not None},
        max_tokens=payload.max_tokens,
        stop=tuple(payload.stop_sequences),
        grammar=None if schema is None else Grammar(kind="json_schema", text=_json(schema)),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
