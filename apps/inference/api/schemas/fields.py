"""What the request schemas are made of.

Requests are strict: a wrong type, an unknown field, or a field that asks for
something the hub can't do yet is refused by name. Fields that change nothing in
the answer are taken and ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


def whole(value: Any) -> Any:
    """A number without a fraction as an integer: JSON, and JSON Schema, do not tell 1.0 from 1.

    Only for what has to be a number: what a model is shown stays as it was written.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


class StrictRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {name: whole(value) for name, value in values.items()}


_JSON_TYPES: Mapping[str, tuple[type, ...]] = {"string": (str,), "object": (dict,)}
"""Of the fields that ``only`` is used on, where they have a type at all."""


class _Only:
    def __init__(self, taken: Sequence[Any]) -> None:
        self._taken = taken

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        types = _JSON_TYPES.get(described.get("type", ""), (object,))
        described["enum"] = [value for value in self._taken if isinstance(value, types)]
        return described

    def _check(self, value: Any) -> Any:
        # By type, too: Python has 0 == False, and JSON has not.
        if any(type(value) is type(taken) and value == taken for taken in self._taken):
            return value
        raise PydanticCustomError(
            "unsupported", "The hub does not support this yet. Leave the field out."
        )


def only(*harmless: Any) -> _Only:
    """For Annotated: takes None, empty values and ``harmless`` ones, which ask for nothing."""
    return _Only((None, [], {}, *harmless))


NotYet = Annotated[Any, only()]


def invalid(message: str) -> PydanticCustomError:
    """An error of a single field; raise it in that field's validator."""
    return PydanticCustomError("invalid", "{reason}", {"reason": message})
