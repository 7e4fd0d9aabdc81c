"""Typed access to GGUF metadata: a wrong type is the file's fault, said clearly."""

from __future__ import annotations

import math
import struct
from typing import Any, TypeVar

from apps.models.runtime.errors import ModelFormatError

T = TypeVar("T")


class Metadata:
    """Metadata of one file. Every method raises ModelFormatError on a value of another type."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def text(self, key: str, default: str = "") -> str:
        return self._typed(key, str, default)

    def flag(self, key: str, default: bool) -> bool:
        return self._typed(key, bool, default)

    def strings(self, key: str) -> list[str]:
        return self._list(key, str)

    def integers(self, key: str) -> list[int]:
        return self._list(key, int)

    def numbers(self, key: str) -> list[float]:
        return self._list(key, float)

    def integer(self, key: str, default: int | None = None, *, low: int = 0, high: int) -> int:
        """A whole number between ``low`` and ``high``; required where there is no default."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(key, value, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str, default: float | None = None, *, low: float, high: float) -> float:
        """A number between ``low`` and ``high``, as short as its float32 can be written."""
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(key, value, "a number")
        if not (math.isfinite(value) and low <= value <= high):
            raise _wrong(key, value, f"a number from {low} to {high}")
        return shortest_float32(value)

    def _typed(self, key: str, kind: type[T], default: T) -> T:
        value = self.values.get(key, default)
        if not isinstance(value, kind):
            raise _wrong(key, value, f"a {kind.__name__}")
        return value

    def _list(self, key: str, kind: type[T]) -> list[T]:
        value = self.values.get(key)
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            raise _wrong(key, value, f"a list of {kind.__name__}")
        return value


def shortest_float32(value: float) -> float:
    """The shortest decimal that is ``value`` in float32: 1e-05, not 9.999999747378752e-06."""
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == struct.pack("<f", value):
            return short
    return value


def _wrong(key: str, value: Any, wanted: str) -> ModelFormatError:
    found = "is missing" if value is None else f"is {str(value)[:60]!r}"
    return ModelFormatError(
        f"The GGUF file's {key!r} {found}; it has to be {wanted}. Download the file again, or "
        "take one made by another converter."
    )
