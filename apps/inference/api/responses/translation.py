"""The Responses API on its way in: OpenAI's items as what the engine is asked."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import JsonValue

from apps.inference.api.responses.errors import ItemNotFound, NothingAsked
from apps.inference.api.responses.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    Item,
    MessageItem,
    ReasoningItem,
)
from apps.inference.api.responses.request import (
    AllowedTools,
    FunctionTool,
    JsonSchemaFormat,
    NamedFunction,
    ResponseRequest,
)
from apps.inference.api.schemas.sampling import GREEDY_TOP_P
from apps.inference.defaults import with_defaults
from apps.inference.engine.protocol import (
    Generate,
    Grammar,
    Message,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
)
from apps.inference.services import NamedModel

_NO_PARAMETERS = {"type": "object", "properties": {}}


@dataclass(frozen=True)
class ResponseCall:
    """One request on its way: what the engine is asked, and what the answer is labelled with."""

    request: Generate
    payload: ResponseRequest
    model: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    created_at: int = field(default_factory=lambda: int(time.time()))

    @property
    def id(self) -> str:
        return f"resp_{self.key}"

    def item_id(self, kind: str, place: int | str) -> str:
        """The id of an item of this response; it says which response that is."""
        return f"{kind}_{self.key}_{place}"


def response_call(
    payload: ResponseRequest, model: NamedModel, conversation: Sequence[Item], *, client: str
) -> ResponseCall:
    """The request for ``model``, to answer the ``conversation``.

    Raises ItemNotFound where an output's call is not in it, and NothingAsked where it is empty.
    """
    messages = _messages(payload.instructions, conversation)
    if not messages:
        raise NothingAsked
    request = Generate(
        model=model.spec,
        adapter=model.adapter_spec,
        messages=messages,
        tools=tuple(_tool(tool) for tool in _offered(payload)),
        tool_choice=_tool_choice(payload),
        template_options=_template_options(payload),
        sampling=_sampling(payload),
        client=client,
        priority="batch" if payload.service_tier == "flex" else "interactive",
    )
    return ResponseCall(with_defaults(request, model.model), payload, model.name)


# --- the conversation ---------------------------------------------------------


@dataclass(frozen=True)
class _Turn:
    """What the model did between two messages of others."""

    reasoning: str = ""
    content: str | None = None
    calls: tuple[ToolCall, ...] = ()

    def takes(self, item: Item) -> bool:
        """Whether the item goes on with this turn: thought, then said, then called."""
        if isinstance(item, ReasoningItem):
            return self.content is None and not self.calls
        if isinstance(item, MessageItem):
            return item.role == "assistant" and self.content is None and not self.calls
        return isinstance(item, FunctionCallItem)

    def with_(self, item: Item) -> _Turn:
        if isinstance(item, ReasoningItem):
            return replace(self, reasoning=self.reasoning + item.text)
        if isinstance(item, FunctionCallItem):
            call = ToolCall(id=item.call_id, name=item.name, arguments=item.arguments)
            return replace(self, calls=(*self.calls, call))
        return replace(self, content=item.text)

    @property
    def message(self) -> Message:
        return Message(
            role="assistant",
            content=self.content or "",
            reasoning=self.reasoning,
            tool_calls=self.calls,
        )


def _messages(instructions: str | None, items: Sequence[Item]) -> tuple[Message, ...]:
    opening = [Message(role="system", content=instructions)] if instructions else []
    return (*opening, *_turns(items))


def _turns(items: Sequence[Item]) -> Iterator[Message]:
    names = {item.call_id: item.name for item in items if isinstance(item, FunctionCallItem)}
    turn = _Turn()
    for item in items:
        if turn.takes(item):
            turn = turn.with_(item)
            continue
        if turn != _Turn():
            yield turn.message
            turn = _Turn()
        if turn.takes(item):
            turn = turn.with_(item)
        else:
            yield _others(item, names)
    if turn != _Turn():
        yield turn.message


def _others(item: Item, names: dict[str, str]) -> Message:
    """What the model did not do itself."""
    if isinstance(item, MessageItem):
        return Message(role=item.role, content=item.text)
    assert isinstance(item, FunctionCallOutputItem)
    if item.call_id not in names:
        raise ItemNotFound(
            f"The function_call_output for {item.call_id!r} has no function_call of that "
            "call_id. Send the call too, or go on from the response that made it."
        )
    return Message(
        role="tool", content=item.text, tool_call_id=item.call_id, name=names[item.call_id]
    )


# --- tools and options --------------------------------------------------------


def _offered(payload: ResponseRequest) -> list[FunctionTool]:
    """The tools that the model is shown."""
    tools, choice = payload.tools or [], payload.tool_choice
    if choice is not None and choice.type == "none":
        return []
    if isinstance(choice, AllowedTools):
        allowed = {tool.name for tool in choice.tools}
        return [tool for tool in tools if tool.name in allowed]
    return tools


def _tool(tool: FunctionTool) -> Tool:
    schema = tool.parameters if tool.parameters is not None else _NO_PARAMETERS
    return Tool(
        name=tool.name,
        description=tool.description or "",
        parameters=_json(schema),
        strict=bool(tool.strict),
    )


def _tool_choice(payload: ResponseRequest) -> ToolChoice:
    choice, parallel = payload.tool_choice, payload.parallel_tool_calls is not False
    if isinstance(choice, NamedFunction):
        return ToolChoice(mode="required", name=choice.name, parallel=parallel)
    if isinstance(choice, AllowedTools):
        return ToolChoice(mode=choice.mode, parallel=parallel)
    return ToolChoice(mode=choice.type if choice else "auto", parallel=parallel)


def _template_options(payload: ResponseRequest) -> dict[str, JsonValue]:
    effort = payload.reasoning.effort if payload.reasoning else None
    return {} if effort is None else {"reasoning_effort": effort}


def _sampling(payload: ResponseRequest) -> Sampling:
    given: dict[str, Any] = {
        "temperature": payload.temperature,
        "top_p": None if payload.top_p is None else max(payload.top_p, GREEDY_TOP_P),
    }
    return Sampling(
        **{name: value for name, value in given.items() if value is not None},
        max_tokens=payload.max_output_tokens,
        logprobs=payload.logprobs,
        grammar=_grammar(payload),
    )


def _grammar(payload: ResponseRequest) -> Grammar | None:
    wanted = payload.text.format if payload.text else None
    if wanted is None or wanted.type == "text":
        return None
    schema = wanted.schema_ if isinstance(wanted, JsonSchemaFormat) else {"type": "object"}
    return Grammar(kind="json_schema", text=_json(schema))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
