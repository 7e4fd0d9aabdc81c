"""Records as files: CSV, or one JSON array; row by row, however many there are."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator

from apps.inference.usage.models import RequestRecordQuerySet
from apps.inference.usage.schemas import UsageRecord

_ROWS_AT_ONCE = 500
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def csv_lines(records: RequestRecordQuerySet) -> AsyncIterator[str]:
    """A header, then a line for each record."""
    names = list(UsageRecord.model_fields)
    yield _line(names)
    async for row in _rows(records):
        values = row.model_dump(mode="json")
        yield _line(["" if values[name] is None else _plain(str(values[name])) for name in names])


async def json_parts(records: RequestRecordQuerySet) -> AsyncIterator[str]:
    """The parts of one array."""
    before = "["
    async for row in _rows(records):
        yield f"{before}\n{row.model_dump_json()}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


async def _rows(records: RequestRecordQuerySet) -> AsyncIterator[UsageRecord]:
    async for record in records.without_text().aiterator(chunk_size=_ROWS_AT_ONCE):
        yield UsageRecord.of(record)


def _line(values: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


def _plain(text: str) -> str:
    """Text that a spreadsheet does not run. https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
