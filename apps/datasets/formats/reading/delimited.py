"""CSV, TSV and their like: a header, and a record for each row behind it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from apps.datasets.formats.errors import Refused, Unsupported
from apps.datasets.formats.limits import MAX_COLUMNS, MAX_ROW_BYTES
from apps.datasets.formats.reading.lines import lines_of
from apps.datasets.formats.reading.records import Fault, Read, Record, Unreadable, sample_of

_DELIMITERS = ",;\t|"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def read_delimited(chunks: Iterable[bytes]) -> Iterator[Read]:
    """Records by the names in the first row. Raises Refused, Unsupported.

    The delimiter is the one that the first row has most of. Empty cells are empty texts.
    """
    # The csv module's own bound is 128 KB a field, which a long document exceeds.
    csv.field_size_limit(MAX_ROW_BYTES)
    lines = _Lines(lines_of(chunks))
    header = lines.header()
    rows = csv.reader(lines, delimiter=_delimiter(header))
    lines.put_back(header)
    try:
        names = _names(next(rows, []))
    except csv.Error as error:
        raise Unsupported(f"The table's header can't be read: {error}. Save it anew.") from error
    while True:
        start = rows.line_num + 1
        lines.fault = None
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Unreadable(start, Fault.SYNTAX, f"{str(error).capitalize()}.")
            continue
        if lines.fault is not None:
            yield Unreadable(start, lines.fault, "The row can't be read.")
        elif cells:
            yield _record(start, names, cells)


class _Lines:
    """Lines as text for the csv module; notes what was wrong with those of the present row."""

    def __init__(self, lines: Iterator[bytes | None]) -> None:
        self._lines = lines
        self._held: list[str] = []
        self.fault: Fault | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return self._held.pop() if self._held else self._text(next(self._lines))

    def header(self) -> str:
        """The first line that is not blank. Raises Unsupported where there is none."""
        for line in self:
            if line.strip():
                return line
        raise Unsupported("The table is empty: it has no header row. Choose another file.")

    def put_back(self, line: str) -> None:
        self._held.append(line)

    def _text(self, line: bytes | None) -> str:
        if line is None:
            self.fault = Fault.TOO_LONG
            return "\n"
        if b"\0" in line:
            self.fault = Fault.NUL
        text = line.decode(errors="replace") + "\n"
        if _REPLACEMENT in text and _REPLACEMENT.encode() not in line:
            self.fault = Fault.ENCODING
        return text


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def _names(header: list[str]) -> list[str]:
    """Column names, none of them empty or twice. Raises Refused."""
    if len(header) > MAX_COLUMNS:
        raise Refused(
            f"The table has {len(header):,} columns; {MAX_COLUMNS:,} are taken. Leave out those "
            "that nothing is to be learnt from."
        )
    names: list[str] = []
    taken: set[str] = set()
    for number, cell in enumerate(header, 1):
        name = base = cell.strip() or f"column {number}"
        while name in taken:
            name = f"{base} ({number})"
            number += 1
        taken.add(name)
        names.append(name)
    return names


def _record(line: int, names: list[str], cells: list[str]) -> Read:
    if len(cells) > len(names):
        detail = f"{len(cells):,} fields for {len(names):,} columns: {sample_of(', '.join(cells))}"
        return Unreadable(line, Fault.FIELDS, detail)
    return Record(line, dict(zip(names, cells + [""] * (len(names) - len(cells)), strict=True)))
