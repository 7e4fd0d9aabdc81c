"""What the request schemas are made of.

Requests are strict: a wrong type, an unknown field, or a field that asks for
something the hub can't do yet is refused by name. Fields that change nothing in
the answer are taken and ignored.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


class StrictRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def only(*harmless: Any) -> AfterValidator:
    """Takes None, empty values and ``harmless`` ones: those ask for nothing."""

    def check(value: Any) -> Any:
        if value in (None, [], {}) or value in harmless:
            return value
        raise PydanticCustomError(
            "unsupported", "The hub does not support this yet. Leave the field out."
        )

    return AfterValidator(check)


NotYet = Annotated[Any, only()]


def invalid(message: str) -> PydanticCustomError:
    """An error of a single field; raise it in that field's validator."""
    return PydanticCustomError("invalid", "{reason}", {"reason": message})
