"""A JSON file: an array of objects, an object that holds one, or JSON Lines by another name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import orjson

from apps.datasets.formats.errors import Refused
from apps.datasets.formats.limits import MAX_ROW_BYTES, MAX_WHOLE_JSON_BYTES
from apps.datasets.formats.reading.json_lines import read_json_lines, record_of
from apps.datasets.formats.reading.records import Fault, Read, Unreadable, sample_of
from apps.datasets.formats.reading.syntax import syntax_in_words

_SPACE = " \t\r\n"
_SPACE_BYTES = _SPACE.encode()


def read_json_file(chunks: Iterable[bytes]) -> Iterator[Read]:
    """The objects of the file. Raises Refused where it would have to be read whole and is huge."""
    chunks = iter(chunks)
    head = _first(chunks)
    everything = chain([head], chunks)
    start = head.lstrip(_SPACE_BYTES)[:1]
    if start == b"[":
        yield from _Array(everything).records()
    elif start == b"{" and _is_json_lines(head):
        yield from read_json_lines(everything)
    else:
        yield from _read_whole(everything)


def _first(chunks: Iterator[bytes]) -> bytes:
    """The first chunk that is more than white space, with what is before it."""
    head = b""
    for chunk in chunks:
        head += chunk
        if head.strip(_SPACE_BYTES) or len(head) > MAX_ROW_BYTES:
            break
    return head


def _is_json_lines(head: bytes) -> bool:
    first, end, _ = head.lstrip(_SPACE_BYTES).partition(b"\n")
    try:
        return bool(end) and isinstance(orjson.loads(first), dict)
    except orjson.JSONDecodeError:
        return False


def _read_whole(chunks: Iterable[bytes]) -> Iterator[Read]:
    """One object: the first list of objects in it, else itself."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > MAX_WHOLE_JSON_BYTES:
            raise Refused(
                "The JSON file is one object of more than 64 MB. Import it as JSON Lines, an "
                "object on each line, or as an array of objects."
            )
    try:
        value = orjson.loads(bytes(data))
    except orjson.JSONDecodeError as error:
        what = syntax_in_words(error)
        detail = f"Line {error.lineno:,}, character {error.colno:,}: {what}"
        yield Unreadable(error.lineno, Fault.SYNTAX, detail)
        return
    for number, item in enumerate(_list_in(value), 1):
        yield record_of(number, item)


def _list_in(value: Any) -> list[Any]:
    if isinstance(value, dict):
        for inner in value.values():
            if isinstance(inner, list) and inner and all(isinstance(one, dict) for one in inner):
                return inner
    return [value]


def _parsed(number: int, element: str) -> Read:
    """As the strict parser reads it: Python's own takes NaN, half characters and endless digits."""
    try:
        return record_of(number, orjson.loads(element))
    except orjson.JSONDecodeError as error:
        detail = f"Element {number}: {syntax_in_words(error)}: {sample_of(element)}"
        return Unreadable(number, Fault.SYNTAX, detail)


def _in_words(error: ValueError | RecursionError) -> str:
    return syntax_in_words(error) if isinstance(error, json.JSONDecodeError) else str(error)


class _Array:
    """An array of any length, an element at a time.

    A window of text slides over the file. Where an element does not end in it, the window
    is doubled, so that each byte is looked at a few times at most.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._text = ""
        self._tail = b""
        self._decoder = json.JSONDecoder()

    def records(self) -> Iterator[Read]:
        self._skip("[")
        number = 0
        while not self._at_end():
            number += 1
            try:
                element = self._element()
            except (ValueError, RecursionError) as error:
                why = _in_words(error)
                detail = f"Element {number} and all behind it: {why}: {sample_of(self._text)}"
                yield Unreadable(number, Fault.SYNTAX, detail)
                return
            yield _parsed(number, element)

    def _at_end(self) -> bool:
        self._trim()
        return self._text.startswith("]")

    def _element(self) -> str:
        """The next element; goes on behind its comma. Raises ValueError, RecursionError."""
        while True:
            try:
                _, end = self._decoder.raw_decode(self._text)
            except ValueError:
                if len(self._text) > MAX_ROW_BYTES or not self._grow():
                    raise
                continue
            # A number at the very end of the window may go on behind it.
            if end == len(self._text) and self._grow():
                continue
            element, self._text = self._text[:end], self._text[end:]
            self._trim()
            if not self._text.startswith("]"):
                self._skip(",")
            return element

    def _skip(self, sign: str) -> None:
        self._trim()
        if not self._text.startswith(sign):
            raise ValueError(f"{sign!r} is missing")
        self._text = self._text[1:]

    def _trim(self) -> None:
        self._text = self._text.lstrip(_SPACE)
        while not self._text and self._grow():
            self._text = self._text.lstrip(_SPACE)

    def _grow(self) -> bool:
        """Take in at least as much as there is; False at the end of the file."""
        wanted = max(len(self._text), 1)
        parts = [self._text]
        while wanted > 0 and (chunk := next(self._chunks, None)) is not None:
            text = self._decode(chunk)
            parts.append(text)
            wanted -= len(text)
        self._text = "".join(parts)
        return len(parts) > 1

    def _decode(self, chunk: bytes) -> str:
        """UTF-8 that a chunk's end may cut; what is broken becomes the replacement character."""
        data = self._tail + chunk
        cut = len(data)
        for back in range(1, min(4, len(data)) + 1):
            if data[-back] >= 0xC0:
                needed = 2 if data[-back] < 0xE0 else 3 if data[-back] < 0xF0 else 4
                cut -= back if needed > back else 0
                break
        self._tail = data[cut:]
        return data[:cut].decode(errors="replace")
