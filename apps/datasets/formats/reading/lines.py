"""UTF-8 chunks to lines, none of them longer than the bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from apps.datasets.formats.limits import MAX_ROW_BYTES


def lines_of(chunks: Iterable[bytes], limit: int = MAX_ROW_BYTES) -> Iterator[bytes | None]:
    """Each line without its end; None for one that is longer than ``limit`` bytes.

    Of such a line no more than the limit is ever in memory.
    """
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        size += len(first)
        if size <= limit:
            held.append(first)
        else:
            held.clear()
        if others:
            yield _line(held, size, limit)
            last = others.pop()
            for line in others:
                yield line if len(line) <= limit else None
            held, size = [last], len(last)
    if size:
        yield _line(held, size, limit)


def _line(held: list[bytes], size: int, limit: int) -> bytes | None:
    return b"".join(held) if size <= limit else None
