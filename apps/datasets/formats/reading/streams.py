"""Bytes of a file as UTF-8, unpacked, a chunk at a time and bounded."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import charset_normalizer
import zstandard

from apps.datasets.formats.errors import Damaged, Refused, Unsupported
from apps.datasets.formats.limits import (
    BOMB_FROM_BYTES,
    BOMB_RATIO,
    CHUNK_BYTES,
    MAX_UNPACKED_BYTES,
)

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MAX_WINDOW = 128 * 1024 * 1024
"""Of a zstd frame: what `zstd -19 --long` makes, and no more memory than that."""

_ZSTD_SLICE = 128
"""Bytes unpacked at a time: a block of four bytes may stand for 128 KB."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def chunks_of(file: BinaryIO, name: str) -> Iterator[bytes]:
    """What a file holds, unpacked where it is gzip or zstd. Raises Refused, Damaged."""
    head = file.read(CHUNK_BYTES)
    packed = _rest(file, head)
    if head.startswith(_GZIP):
        yield from within_bounds(_gunzip(packed, name), name)
    elif head.startswith(_ZSTD):
        yield from within_bounds(_unzstd(packed, name), name)
    else:
        yield from packed


def within_bounds(pairs: Iterable[tuple[bytes, int]], name: str) -> Iterator[bytes]:
    """Chunks with the packed bytes read so far, until they look like a bomb. Raises Refused."""
    unpacked = 0
    for chunk, packed in pairs:
        unpacked += len(chunk)
        bomb = unpacked > BOMB_FROM_BYTES and unpacked > BOMB_RATIO * max(packed, 1)
        if bomb or unpacked > MAX_UNPACKED_BYTES:
            raise Refused(
                f"{name} unpacks to more than {unpacked // packed if packed else unpacked} times "
                "its size, as decompression bombs do. Nothing of it was kept. If it is real data, "
                "unpack it and import the file itself."
            )
        yield chunk


def utf8_chunks(chunks: Iterable[bytes], *, legacy: bool) -> Iterator[bytes]:
    """Text in any usual encoding as UTF-8, without a byte order mark.

    ``legacy``: whether it may be in an encoding that only a guess can tell, as tables and
    texts may; JSON without a mark is UTF-8. What passes for UTF-8 passes as it is, broken
    sequences among it: the reader tells them by line.
    """
    chunks = iter(chunks)
    head = next(chunks, b"")
    bom, encoding = _encoding_of(head, legacy=legacy)
    head = head[len(bom) :]
    if encoding == "utf-8":
        yield head
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    yield decoder.decode(head).encode()
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def _encoding_of(head: bytes, *, legacy: bool) -> tuple[bytes, str]:
    """The byte order mark and the encoding's name, judged by the first bytes."""
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return bom, encoding
    # The chunk's end may cut a sequence.
    decoded = head[: -3 if len(head) == CHUNK_BYTES else None].decode(errors="replace")
    foreign = sum(character > "\x7f" for character in decoded)
    # In a legacy encoding next to every byte above ASCII is a broken sequence; in UTF-8
    # only the odd one that somebody damaged.
    if not legacy or decoded.count(_REPLACEMENT) * 2 <= foreign:
        return b"", "utf-8"
    best = charset_normalizer.from_bytes(head[:CHUNK_BYTES]).best()
    if best is None:
        raise Unsupported(
            "The file is no text in an encoding that is known here. Save it as UTF-8 and import "
            "it again."
        )
    return b"", best.encoding


def _rest(file: BinaryIO, head: bytes) -> Iterator[bytes]:
    while head:
        yield head
        head = file.read(CHUNK_BYTES)


def _gunzip(packed: Iterator[bytes], name: str) -> Iterator[tuple[bytes, int]]:
    unpacker = zlib.decompressobj(wbits=31)
    count = 0
    for chunk in packed:
        count += len(chunk)
        while chunk:
            if unpacker.eof:  # a file may be several, one after another
                unpacker = zlib.decompressobj(wbits=31)
            try:
                yield unpacker.decompress(chunk, CHUNK_BYTES), count
            except zlib.error as error:
                raise _damaged(name, error) from error
            chunk = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if not unpacker.eof:
        raise _damaged(name, "it ends in the middle")


def _unzstd(packed: Iterator[bytes], name: str) -> Iterator[tuple[bytes, int]]:
    fresh = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj
    unpacker, count = fresh(), 0
    for chunk in packed:
        for start in range(0, len(chunk), _ZSTD_SLICE):
            data = chunk[start : start + _ZSTD_SLICE]
            count += len(data)
            while data:
                if unpacker.eof:  # a file may be several, one after another
                    unpacker = fresh()
                try:
                    yield unpacker.decompress(data), count
                except zstandard.ZstdError as error:
                    raise _damaged(name, error) from error
                data = unpacker.unused_data if unpacker.eof else b""
    if not unpacker.eof:
        raise _damaged(name, "it ends in the middle")


def _damaged(name: str, why: object) -> Damaged:
    return Damaged(f"{name} can't be unpacked: {why}. It may be cut off; copy it again.")
