"""Writes a safetensors file from a stream of arrays, never holding more than one.

The safetensors library's own writer wants every tensor in memory at once, and
its NumPy side knows no bfloat16. Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from apps.models.runtime.headers import DTYPE_BITS


@dataclass(frozen=True)
class Entry:
    """A tensor to come: its name, safetensors type and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * DTYPE_BITS[self.dtype] // 8


class SafetensorsWriter:
    """Takes the entries' bytes in their order, in pieces of any size.

    Raises ValueError on leaving where more or fewer bytes came than the entries
    announce: such a file would be read wrongly.
    """

    def __init__(self, path: Path, entries: Sequence[Entry]) -> None:
        self.path = path
        self.header = _header(entries)
        self.expected = sum(entry.nbytes for entry in entries)
        self.written = 0

    def __enter__(self) -> SafetensorsWriter:
        self._file = self.path.open("wb")
        self._file.write(len(self.header).to_bytes(8, "little") + self.header)
        return self

    def write(self, array: np.ndarray) -> None:
        data = np.ascontiguousarray(array)
        self._file.write(data.data)
        self.written += data.nbytes

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is None and self.written != self.expected:
            raise ValueError(f"{self.written} bytes were written where {self.expected} were due")


def _header(entries: Sequence[Entry]) -> bytes:
    fields: dict[str, object] = {"__metadata__": {"format": "mlx"}}
    offset = 0
    for entry in entries:
        fields[entry.name] = {
            "dtype": entry.dtype,
            "shape": entry.shape,
            "data_offsets": [offset, offset + entry.nbytes],
        }
        offset += entry.nbytes
    header = json.dumps(fields, separators=(",", ":")).encode()
    return header + b" " * (-len(header) % 8)
