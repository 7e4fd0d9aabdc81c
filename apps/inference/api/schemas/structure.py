"""What an answer must look like: ``response_format`` and ``structured_outputs``.

``response_format`` is OpenAI's; a schema is enforced token by token whether or
not it is marked strict. ``structured_outputs`` is an extension, under the name
and with the members that vLLM has for it.

https://platform.openai.com/docs/guides/structured-outputs
https://docs.vllm.ai/en/latest/features/structured_outputs.html
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import from_json

from apps.inference.api.schemas.fields import StrictRequest, invalid
from apps.inference.engine.protocol import Grammar

ANY_OBJECT = {"type": "object"}
MAX_CHOICES = 256


def _schema_grammar(schema: Any) -> Grammar:
    return Grammar(kind="json_schema", text=_json(schema))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class JsonSchemaFormat(StrictRequest):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = None
    schema_: dict[str, Any] | None = Field(
        default=None, alias="schema", description="Left out: any JSON object."
    )
    strict: bool | None = Field(
        default=None, description="Has no effect: a schema is always enforced."
    )


class ResponseFormat(StrictRequest):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise invalid("json_schema and the type json_schema go together.")
        return self

    @property
    def grammar(self) -> Grammar | None:
        """None where the answer is free."""
        if self.type == "text":
            return None
        if self.json_schema is None or self.json_schema.schema_ is None:
            return _schema_grammar(ANY_OBJECT)
        return _schema_grammar(self.json_schema.schema_)


def _read(schema: Any) -> Any:
    if not isinstance(schema, str):
        return schema
    try:
        return from_json(schema, allow_inf_nan=False)
    except ValueError as error:
        raise invalid(f"The schema is no valid JSON: {error}.") from error


class StructuredOutputs(StrictRequest):
    """One of these says what the answer must look like."""

    json_: Annotated[dict[str, Any] | str | None, AfterValidator(_read)] = Field(
        default=None, alias="json", description="A JSON Schema, as an object or as text."
    )
    regex: str | None = Field(
        default=None, min_length=1, description="A regular expression for the whole answer."
    )
    choice: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_CHOICES,
        description="The answer is one of these.",
    )
    grammar: str | None = Field(
        default=None, min_length=1, description="A grammar in llguidance's Lark dialect."
    )

    @model_validator(mode="after")
    def _asks_for_one_thing(self) -> StructuredOutputs:
        if len(self._asked) != 1:
            raise invalid("Give exactly one of json, regex, choice and grammar.")
        return self

    @property
    def _asked(self) -> list[Grammar]:
        asked = []
        if self.json_ is not None:
            asked.append(_schema_grammar(self.json_))
        if self.regex is not None:
            asked.append(Grammar(kind="regex", text=self.regex))
        if self.choice is not None:
            words = " | ".join(_json(word) for word in self.choice)
            asked.append(Grammar(kind="lark", text=f"start: {words}"))
        if self.grammar is not None:
            asked.append(Grammar(kind="lark", text=self.grammar))
        return asked

    @property
    def as_grammar(self) -> Grammar:
        """The same for the engine."""
        return self._asked[0]
