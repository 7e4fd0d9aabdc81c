"""Tools in a chat completion's request: what may be called, and what was.

https://platform.openai.com/docs/guides/function-calling
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from apps.inference.api.errors import member
from apps.inference.api.schemas.fields import StrictRequest, invalid, only
from apps.inference.engine import protocol

MAX_TOOLS = 128

FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")]


class FunctionDefinition(StrictRequest):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = Field(
        default=None, description="JSON Schema of the arguments. Left out: no arguments."
    )
    strict: bool | None = Field(
        default=None,
        description="The schema is enforced either way; strictly, what of it can't be is refused.",
    )


class ChatTool(StrictRequest):
    type: Annotated[str, only("function")]
    function: FunctionDefinition

    @property
    def as_tool(self) -> protocol.Tool:
        """The same for the engine."""
        function = self.function
        schema = function.parameters
        if schema is None:
            schema = {"type": "object", "properties": {}, "additionalProperties": False}
        return protocol.Tool(
            name=function.name,
            description=function.description or "",
            parameters=json.dumps(schema, ensure_ascii=False),
            strict=bool(function.strict),
        )


class NamedFunction(StrictRequest):
    name: str


class NamedChoice(StrictRequest):
    """Calls this function."""

    type: Annotated[str, only("function")]
    function: NamedFunction


def _kind(choice: Any) -> str | None:
    if isinstance(choice, NamedChoice | dict):
        return member("named")
    return member("mode") if choice in ("none", "auto", "required") else None


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(member("mode"))]
    | Annotated[NamedChoice, Tag(member("named"))],
    Discriminator(
        _kind,
        custom_error_type="invalid",
        custom_error_message="Input should be none, auto, required, or name a function",
    ),
]


class CalledFunction(StrictRequest):
    name: str = Field(min_length=1)
    arguments: str = Field(description="JSON text, as the model wrote it.")
    parsed_arguments: Any = None  # the openai client's own reading of them


class MessageToolCall(StrictRequest):
    """A call in an earlier answer."""

    id: str = Field(min_length=1)
    type: Annotated[str, only("function")] = "function"
    function: CalledFunction
    index: int | None = None  # what clients keep that assemble a stream

    @property
    def as_call(self) -> protocol.ToolCall:
        """The same for the engine."""
        function = self.function
        return protocol.ToolCall(id=self.id, name=function.name, arguments=function.arguments)


def checked_tools(tools: list[ChatTool] | None) -> list[ChatTool] | None:
    """Raises where two have one name."""
    names = [tool.function.name for tool in tools or []]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise invalid(f"{min(twice)} is defined more than once.")
    return tools


def engine_choice(choice: ToolChoice | None, *, parallel: bool | None) -> protocol.ToolChoice:
    """What the engine is told of a ``tool_choice``."""
    several = parallel is not False
    if isinstance(choice, NamedChoice):
        return protocol.ToolChoice(mode="required", name=choice.function.name, parallel=several)
    return protocol.ToolChoice(mode=choice or "auto", parallel=several)


def checked_choice(choice: ToolChoice | None, tools: list[ChatTool] | None) -> ToolChoice | None:
    """Raises where it asks for a call that can't be made."""
    names = [tool.function.name for tool in tools or []]
    if choice == "required" and not names:
        raise invalid("It needs tools to choose from.")
    if isinstance(choice, NamedChoice) and choice.function.name not in names:
        raise invalid(f"{choice.function.name} is not among the tools.")
    return choice
