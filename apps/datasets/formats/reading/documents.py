"""Plain text and Markdown: pieces of a document, cut at blank lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apps.datasets.formats.limits import DOCUMENT_CHARACTERS
from apps.datasets.formats.reading.lines import lines_of
from apps.datasets.formats.reading.records import Fault, Read, Record, Unreadable


def read_document(chunks: Iterable[bytes]) -> Iterator[Read]:
    """Records with ``text``, each about DOCUMENT_CHARACTERS long at most.

    A paragraph that is longer stays whole: cutting a sentence teaches to end there.
    """
    piece: list[str] = []
    size = start = 0
    for number, line in enumerate(lines_of(chunks), 1):
        if line is None:
            yield Unreadable(number, Fault.TOO_LONG, "The line is longer than 8 MB.")
            continue
        try:
            text = line.decode().rstrip("\r")
        except UnicodeDecodeError as error:
            yield Unreadable(number, Fault.ENCODING, f"Byte {error.start + 1} is not UTF-8.")
            continue
        if "\0" in text:
            yield Unreadable(number, Fault.NUL, "The line holds a NUL character.")
            continue
        if not text.strip() and size >= DOCUMENT_CHARACTERS:
            yield _piece(start, piece)
            piece, size = [], 0
        if piece or text.strip():
            start = start if piece else number
            piece.append(text)
            size += len(text) + 1
    if piece:
        yield _piece(start, piece)


def _piece(start: int, lines: list[str]) -> Record:
    return Record(start, {"text": "\n".join(lines).strip()})
