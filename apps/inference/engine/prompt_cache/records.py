"""One span as a file: safetensors, followed by a digest of it all.

The metadata repeats the tokens from the root to the span's end, so that a
folder of records is enough to rebuild the tree. The digest (BLAKE2b, 32 bytes,
after the safetensors part) covers header and numbers alike: a changed bit in
either makes the record unreadable, never wrong.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

FORMAT_VERSION = 3
SUFFIX = ".kv"

_DIGEST_BYTES = 32
_DTYPES = {
    "<f4": "F32", "<f2": "F16", "<f8": "F64", "|b1": "BOOL",
    "|i1": "I8", "<i2": "I16", "<i4": "I32", "<i8": "I64",
    "|u1": "U8", "<u2": "U16", "<u4": "U32", "<u8": "U64",
}  # fmt: skip
_NUMPY = {name: np.dtype(code) for code, name in _DTYPES.items()}
_MAX_HEADER_BYTES = 64 * 1024 * 1024


class CorruptRecord(Exception):
    """The file is no whole, unchanged record of this format version."""


@dataclass(frozen=True)
class RecordHeader:
    namespace: str
    tokens: tuple[int, ...]
    """From the root to the span's last token."""
    start: int
    """Where the span begins in ``tokens``."""
    checkpoint: bool
    """Whether the body tells the state of uncuttable layers after the last token."""

    @cached_property
    def name(self) -> str:
        """The record's file stem: equal content, equal name."""
        spelled = _packed(self.tokens)
        salt = f"{self.namespace}/{self.start}/{self.checkpoint}/{FORMAT_VERSION}".encode()
        return hashlib.blake2b(spelled + salt, digest_size=16).hexdigest()


@dataclass(frozen=True)
class Body:
    """Named arrays, and how to read them as JSON; spans.py knows what they mean."""

    arrays: dict[str, np.ndarray]
    description: str

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())


@dataclass(frozen=True)
class Record:
    header: RecordHeader
    body: Body


def record_pieces(record: Record) -> Iterator[bytes | memoryview]:
    """The record's bytes in their order, the numbers as they lie in memory.

    Not by the safetensors library: it would copy them twice while it holds the
    interpreter lock, and a record may have hundreds of megabytes.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    pieces: list[bytes | memoryview] = [_encoded_header(record)]
    pieces.extend(_raw(array) for array in record.body.arrays.values())
    for piece in pieces:
        digest.update(piece)
        yield piece
    yield digest.digest()


def _encoded_header(record: Record) -> bytes:
    """https://huggingface.co/docs/safetensors: a length, then JSON, padded to eight bytes."""
    header = record.header
    entries: dict[str, object] = {
        "__metadata__": {
            "version": str(FORMAT_VERSION),
            "namespace": header.namespace,
            "tokens": base64.b64encode(_packed(header.tokens)).decode(),
            "start": str(header.start),
            "checkpoint": str(int(header.checkpoint)),
            "description": record.body.description,
        }
    }
    at = 0
    for name, array in record.body.arrays.items():
        offsets = [at, at := at + array.nbytes]
        dtype = _DTYPES[array.dtype.str]
        entries[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": offsets}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _raw(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def read_header(path: Path) -> RecordHeader:
    """What the record says of itself, its numbers unread and unchecked.

    Raises CorruptRecord, or OSError where the file can't be read.
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", _exactly(file.read(8), 8))
        if length > _MAX_HEADER_BYTES:
            raise CorruptRecord("header too long")
        return _parse_header(_metadata(_exactly(file.read(length), length)))


def read_record(path: Path) -> Record:
    """The whole record, its digest verified.

    Raises CorruptRecord, or OSError where the file can't be read.
    """
    data = memoryview(path.read_bytes())
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
        raise CorruptRecord("digest differs")
    (length,) = struct.unpack("<Q", body[:8])
    header, numbers = bytes(body[8 : 8 + length]), body[8 + length :]
    metadata = _metadata(header)
    return Record(_parse_header(metadata), Body(_arrays(header, numbers), metadata["description"]))


def _arrays(header: bytes, numbers: memoryview) -> dict[str, np.ndarray]:
    """Views into the file's bytes: a library would copy them, twice."""
    try:
        return {
            name: np.frombuffer(
                numbers[slice(*entry["data_offsets"])], _NUMPY[entry["dtype"]]
            ).reshape(entry["shape"])
            for name, entry in json.loads(header).items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptRecord("header inconsistent") from error


def _packed(tokens: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(tokens)}I", *tokens)


def _unpacked(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // 4}I", packed)


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise CorruptRecord("file too short")
    return data


def _metadata(header: bytes) -> dict[str, str]:
    try:
        metadata: dict[str, str] = json.loads(header)["__metadata__"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptRecord("header unreadable") from error
    return metadata


def _parse_header(metadata: dict[str, str]) -> RecordHeader:
    try:
        if metadata["version"] != str(FORMAT_VERSION):
            raise CorruptRecord(f"format version {metadata['version']}")
        parsed = RecordHeader(
            namespace=metadata["namespace"],
            tokens=_unpacked(base64.b64decode(metadata["tokens"], validate=True)),
            start=int(metadata["start"]),
            checkpoint=metadata["checkpoint"] == "1",
        )
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise CorruptRecord("header unreadable") from error
    if not 0 <= parsed.start < len(parsed.tokens):
        raise CorruptRecord("header inconsistent")
    return parsed
