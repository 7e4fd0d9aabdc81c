"""Rows that somebody pasted, looked at while the text is still on the page.

An import that fails in the worker has nobody to give the text back to. So all of it is read
before anything is ordered, which takes a moment at the length that the page takes.
"""

from __future__ import annotations

from pathlib import Path

from apps.datasets.formats.errors import FormatError
from apps.datasets.formats.reading.records import FAULTS, Record, Unreadable
from apps.datasets.formats.reading.source import read_source
from apps.datasets.uploads import PLACE
from apps.uploads.pieces import UploadRefused, drop


def keep_pasted(text: str, suffix: str, *, leave_out: bool = False) -> Path:
    """A file of the hub's own with a pasted text; ``suffix`` tells its format.

    ``leave_out``: whether places that can't be read may be passed over. Raises UploadRefused
    with the first of them, or where there is no row at all; then no file is left.
    """
    path = PLACE.whole(f"pasted{suffix}", text.encode()).path
    if refusal := _refusal(path, leave_out=leave_out):
        drop(path)
        raise UploadRefused(refusal)
    return path


def _refusal(path: Path, *, leave_out: bool) -> str:
    """Why this can't be imported; empty where it can."""
    rows = 0
    unread: list[Unreadable] = []
    try:
        for read in read_source(path):
            if isinstance(read, Record):
                rows += 1
            else:
                unread.append(read)
    except FormatError as error:
        return str(error)
    if not unread:
        return "" if rows else "There is no row in it. Paste some rows, then import them."
    first = _said(unread[0], by_line=path.suffix != ".json")
    others = f" There are {len(unread):,} such places." if len(unread) > 1 else ""
    if not rows:
        return f"No row can be read: {first}.{others} Correct it, or choose another format."
    if leave_out:
        return ""
    return (
        f"Not all of it can be read: {first}.{others} Correct it, or leave out what can't be read."
    )


def _said(place: Unreadable, *, by_line: bool) -> str:
    """As in "line 3, not valid JSON (unexpected end of data)"; elements are named by the detail."""
    where = f"line {place.line:,}, " if by_line else ""
    detail = f" ({place.detail.rstrip('.')})" if place.detail else ""
    return f"{where}{FAULTS[place.fault]}{detail}"
