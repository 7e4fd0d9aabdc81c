"""Objects told apart by their ``type``, whose errors name the field and not a union's member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BeforeValidator, Discriminator, GetCoreSchemaHandler, Tag
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from apps.inference.api.errors import member

_MISSING = "It needs a type. The hub takes: {known}."
_UNKNOWN = "The hub does not support {type} here. It takes: {known}."
_NO_OBJECT = "Input should be an object with a type"


class ByType:
    """For Annotated: which member of a union a value is.

    The members carry ``of_type(...)``. Other types are refused by name; ``default``
    is the type of a value that says none.
    """

    def __init__(self, *known: str, default: str | None = None) -> None:
        self._known = known
        self._default = default

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        tagged = Discriminator(
            self._tag, custom_error_type="object_type", custom_error_message=_NO_OBJECT
        )
        union = tagged.__get_pydantic_core_schema__(source, handler)
        return core_schema.no_info_before_validator_function(self.check, union)

    def check(self, value: Any) -> Any:
        """Refuses an object of another type; leaves anything else to the validator after it."""
        if not isinstance(value, Mapping):
            return value
        kind, known = self._type_of(value), {"known": ", ".join(self._known)}
        if kind is None:
            raise PydanticCustomError("missing_type", _MISSING, known)
        if kind not in self._known:
            raise PydanticCustomError("unsupported", _UNKNOWN, known | {"type": repr(kind)})
        return value

    def _tag(self, value: Any) -> str | None:
        if isinstance(value, Mapping):
            return member(self._type_of(value))
        kind = getattr(value, "type", None)
        return member(kind) if isinstance(kind, str) else None

    def _type_of(self, value: Mapping[str, Any]) -> Any:
        kind = value.get("type")
        return self._default if kind is None else kind


def of_type(kind: str) -> Tag:
    """For Annotated: the member of a ``ByType`` union for this type."""
    return Tag(member(kind))


def only_type(kind: str, *, default: str | None = None) -> BeforeValidator:
    """For Annotated, where there is a single type: refuses all others by name."""
    return BeforeValidator(ByType(kind, default=default).check)
