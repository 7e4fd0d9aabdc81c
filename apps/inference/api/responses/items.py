"""The items that a response's input consists of.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter

from apps.inference.api.schemas.fields import NotYet, StrictRequest, invalid
from apps.inference.api.schemas.tagged import ByType, of_type, only_type

Status = Literal["in_progress", "completed", "incomplete"]


# --- parts of a message -------------------------------------------------------


class InputText(StrictRequest):
    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: Any = Field(default=None, description="Has no effect.")


class OutputText(StrictRequest):
    """What the model said earlier."""

    type: Literal["output_text"]
    text: str
    annotations: Any = None
    logprobs: Any = None
    parsed: Any = None  # the openai client's own reading of a structured answer


class Refusal(StrictRequest):
    type: Literal["refusal"]
    refusal: str

    @property
    def text(self) -> str:
        return self.refusal


MessagePart = Annotated[
    Annotated[InputText, of_type("input_text")]
    | Annotated[OutputText, of_type("output_text")]
    | Annotated[Refusal, of_type("refusal")],
    ByType("input_text", "output_text", "refusal"),
]


def _as_parts(content: Any) -> Any:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    if not isinstance(content, list):
        raise invalid("Input should be a string or a list of parts")
    return content


class SummaryText(StrictRequest):
    type: Literal["summary_text"]
    text: str


class ReasoningText(StrictRequest):
    type: Literal["reasoning_text"]
    text: str


# --- items --------------------------------------------------------------------


class _Item(StrictRequest):
    id: str | None = Field(default=None, min_length=1, max_length=200)
    status: Status | None = Field(default=None, description="Has no effect.")


class MessageItem(_Item):
    type: Literal["message"] | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: Annotated[
        list[MessagePart],
        BeforeValidator(_as_parts, json_schema_input_type=str | list[MessagePart]),
    ]
    phase: Any = Field(default=None, description="Has no effect.")

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.content)


class FunctionCallItem(_Item):
    """A function that the model called earlier."""

    type: Literal["function_call"]
    call_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    arguments: str
    namespace: NotYet = None
    caller: Any = None
    async_: Annotated[Any, Field(alias="async")] = None
    parsed_arguments: Any = None  # the openai client's own reading of the arguments


class FunctionCallOutputItem(_Item):
    """What a function returned."""

    type: Literal["function_call_output"]
    call_id: str = Field(min_length=1)
    output: Annotated[
        list[Annotated[InputText, only_type("input_text")]],
        BeforeValidator(_as_parts, json_schema_input_type=str | list[InputText]),
    ]
    name: str | None = None
    namespace: NotYet = None
    caller: Any = None

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.output)


class ReasoningItem(_Item):
    """What the model thought before an earlier answer."""

    type: Literal["reasoning"]
    summary: list[Annotated[SummaryText, only_type("summary_text")]] = []
    content: list[Annotated[ReasoningText, only_type("reasoning_text")]] | None = None
    encrypted_content: str | None = Field(default=None, description="Left out: nobody can read it.")

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.content or [])


class ItemReference(StrictRequest):
    """An item of a response that is kept."""

    type: Literal["item_reference"]
    id: str = Field(min_length=1, max_length=200)


Item = MessageItem | FunctionCallItem | FunctionCallOutputItem | ReasoningItem
"""What a conversation consists of."""

InputItem = Annotated[
    Annotated[MessageItem, of_type("message")]
    | Annotated[FunctionCallItem, of_type("function_call")]
    | Annotated[FunctionCallOutputItem, of_type("function_call_output")]
    | Annotated[ReasoningItem, of_type("reasoning")]
    | Annotated[ItemReference, of_type("item_reference")],
    ByType(
        "message",
        "function_call",
        "function_call_output",
        "reasoning",
        "item_reference",
        default="message",
    ),
]

_stored: TypeAdapter[list[Item | ItemReference]] = TypeAdapter(list[InputItem])


def stored_items(values: list[dict[str, Any]]) -> list[Item]:
    """Items as they were kept. Raises pydantic.ValidationError where they are no items."""
    items = _stored.validate_python(values)
    return [item for item in items if not isinstance(item, ItemReference)]
