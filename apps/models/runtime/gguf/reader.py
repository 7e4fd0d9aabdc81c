"""The header of a GGUF file, read and checked against the file it came in.

Nothing the file says is believed: every count, length and offset is compared
with the bytes that are there before memory is taken for it. After ``read_gguf``
returns, each tensor is known to lie inside the file, apart from every other.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from apps.models.runtime.errors import ModelFormatError

MAX_HEADER_BYTES = 256 * 1024 * 1024
"""More than ten times the largest header in use: one of a 260,000-token vocabulary."""

MAX_METADATA = 65_536
MAX_TENSORS = 65_536
MAX_NAME_BYTES = 65_535
MAX_ITEMS = 4_000_000
"""Items of all arrays together. Each takes far more memory than bytes in the file; the
largest header in use has 800,000."""
MAX_ALIGNMENT = 1024 * 1024
MAX_DIMENSIONS = 4

_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_STRING = 8
_ARRAY = 9


@dataclass(frozen=True)
class GGUFTensor:
    """One tensor: where it lies and how it is stored."""

    name: str
    shape: tuple[int, ...]
    """Row-major: the last dimension is contiguous, as in NumPy."""
    type: GGMLQuantizationType
    offset: int
    """Bytes from the start of the file."""
    nbytes: int

    @property
    def rows(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        return self.nbytes // self.rows


@dataclass(frozen=True)
class GGUFFile:
    """A checked header: metadata values are int, float, bool, str, or lists of one of these."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, GGUFTensor]


def read_gguf(path: Path) -> GGUFFile:
    """Read and check a GGUF header. Raises ModelFormatError."""
    try:
        with opened(path) as stream:
            return _read(path, stream)
    except (OSError, struct.error, UnicodeDecodeError, Malformed) as error:
        raise refused(path, error) from error


def opened(path: Path) -> BinaryIO:
    """The file for reading. Raises OSError; a pipe or device, which may never end, is Malformed."""
    if path.exists() and not path.is_file():
        raise Malformed("it is not a file")
    return path.open("rb")


def refused(path: Path, why: Exception) -> ModelFormatError:
    """What to say of a file that is no GGUF file."""
    return ModelFormatError(
        f"{path.name} is not a GGUF file that can be imported: {why}. "
        "Check that it is a complete GGUF model file, or download it again."
    )


class Malformed(Exception):
    """Why a file is not what it should be, as the middle of a sentence."""


class Cursor:
    """Reads forward through the header, never past it."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream = stream
        self.limit = min(size, MAX_HEADER_BYTES)
        self.position = 0
        self.items_left = MAX_ITEMS

    def take(self, count: int, what: str) -> bytes:
        if count > self.limit - self.position:
            raise Malformed(f"it ends in the middle of {what}")
        data = self.stream.read(count)
        if len(data) != count:
            raise Malformed(f"it ends in the middle of {what}")
        self.position += count
        return data

    def unpack(self, code: str, what: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}"), what))[0]

    def string(self, what: str, limit: int = MAX_HEADER_BYTES) -> str:
        length = self.unpack("Q", what)
        if length > limit:
            raise Malformed(f"{what} claims to be {length} bytes long")
        return self.take(length, what).decode("utf-8")

    def value(self, kind: int, what: str) -> Any:
        if kind in _SCALARS:
            return self.unpack(_SCALARS[kind], what)
        if kind == _STRING:
            return self.string(what)
        if kind == _ARRAY:
            return self.array(what)
        raise Malformed(f"{what} is of the unknown type {kind}")

    def array(self, what: str) -> list[Any]:
        kind, count = self.unpack("I", what), self.unpack("Q", what)
        if count > self.items_left:
            raise Malformed(f"{what} claims {count} items, more than any model's header has")
        self.items_left -= count
        if kind in _SCALARS:
            code = _SCALARS[kind]
            data = self.take(count * struct.calcsize(f"<{code}"), what)
            return list(struct.unpack(f"<{count}{code}", data))
        if kind != _STRING:
            raise Malformed(f"{what} is an array of the unsupported type {kind}")
        return [self.string(what) for _ in range(count)]


def _read(path: Path, stream: BinaryIO) -> GGUFFile:
    size = path.stat().st_size
    cursor = Cursor(stream, size)
    tensor_count, metadata_count = check_counts(cursor)
    metadata: dict[str, Any] = {}
    for _ in range(metadata_count):
        key = cursor.string("a metadata key", MAX_NAME_BYTES)
        if key in metadata:
            raise Malformed(f"it holds the metadata key {key!r} twice")
        metadata[key] = cursor.value(cursor.unpack("I", repr(key)), repr(key))
    tensors: dict[str, GGUFTensor] = {}
    for _ in range(tensor_count):
        tensor = _tensor(cursor)
        if tensor.name in tensors:
            raise Malformed(f"it holds the tensor {tensor.name!r} twice")
        tensors[tensor.name] = tensor
    placed = _placed(tensors, _data_start(metadata, cursor.position), size)
    return GGUFFile(path, metadata, placed)


def check_counts(cursor: Cursor) -> tuple[int, int]:
    """Numbers of tensors and of metadata entries, from the first 24 bytes. Raises Malformed."""
    _check_version(cursor)
    tensors = _count(cursor, "tensors", MAX_TENSORS)
    return tensors, _count(cursor, "metadata entries", MAX_METADATA)


def _check_version(cursor: Cursor) -> None:
    if cursor.limit < 24 or cursor.take(4, "the header") != b"GGUF":
        raise Malformed("it does not begin as one")
    version = cursor.unpack("I", "the version")
    if version in {2, 3}:
        return
    if version & 0xFFFF == 0:
        raise Malformed("it is a big-endian one, and only little-endian ones are read")
    raise Malformed(f"it is of version {version}, and versions 2 and 3 are read")


def _count(cursor: Cursor, what: str, limit: int) -> int:
    count = int(cursor.unpack("Q", what))
    if count > limit:
        raise Malformed(f"it claims {count} {what}; {limit} are the most that are read")
    return count


def _tensor(cursor: Cursor) -> GGUFTensor:
    """A tensor's entry, with the offset still counted from the start of the data."""
    name = cursor.string("a tensor's name", MAX_NAME_BYTES)
    dimensions = cursor.unpack("I", name)
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise Malformed(f"tensor {name!r} claims {dimensions} dimensions")
    # GGUF lists the contiguous dimension first.
    shape = tuple(cursor.unpack("Q", name) for _ in range(dimensions))[::-1]
    kind = cursor.unpack("I", name)
    try:
        type_ = GGMLQuantizationType(kind)
        block, block_bytes = GGML_QUANT_SIZES[type_]
    except (ValueError, KeyError):
        raise Malformed(f"tensor {name!r} is of the unknown type {kind}") from None
    if min(shape) < 1 or shape[-1] % block:
        raise Malformed(f"tensor {name!r} has the impossible shape {shape}")
    nbytes = math.prod(shape) // block * block_bytes
    return GGUFTensor(name, shape, type_, int(cursor.unpack("Q", name)), nbytes)


def _data_start(metadata: dict[str, Any], header_end: int) -> int:
    alignment = metadata.get("general.alignment", 32)
    power_of_two = isinstance(alignment, int) and alignment > 0 and alignment.bit_count() == 1
    if not power_of_two or alignment > MAX_ALIGNMENT:
        raise Malformed(f"its alignment {alignment!r} is not a power of two")
    return -(-header_end // int(alignment)) * int(alignment)


def _placed(tensors: dict[str, GGUFTensor], start: int, size: int) -> dict[str, GGUFTensor]:
    """Tensors with absolute offsets: inside the file, and none sharing bytes with another.

    Sharing is refused because it would let a small file describe terabytes.
    """
    placed = {
        t.name: GGUFTensor(t.name, t.shape, t.type, start + t.offset, t.nbytes)
        for t in tensors.values()
    }
    end = start
    for tensor in sorted(placed.values(), key=lambda t: t.offset):
        if tensor.offset + tensor.nbytes > size:
            raise Malformed(f"it ends before tensor {tensor.name!r} does; it is cut short")
        if tensor.offset < end:
            raise Malformed(f"tensor {tensor.name!r} overlaps another")
        end = tensor.offset + tensor.nbytes
    return placed
