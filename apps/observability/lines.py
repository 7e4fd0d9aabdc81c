"""A line of a log, read again. Lines hold text from anywhere: they are data, never markup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from apps.observability.ids import NAMES

LEVELS = ("debug", "info", "warning", "error", "critical")

OUTPUT = "output"
"""The level of what a process printed past its log, such as a native library's last words."""


@dataclass(frozen=True)
class LogLine:
    """One line. Empty fields are not known."""

    time: datetime | None
    level: str
    process: str
    logger: str
    message: str
    exception: str = ""
    request_id: str = ""
    job: str = ""
    run: str = ""

    @property
    def text(self) -> str:
        """As a terminal shows it."""
        clock = f"{self.time:%H:%M:%S} " if self.time else ""
        level = f"{self.level.upper()} " if self.level not in ("", OUTPUT) else ""
        marks = [getattr(self, name) for name in NAMES]
        tail = "".join(f" [{mark}]" for mark in marks if mark)
        end = f"\n{self.exception}" if self.exception else ""
        return f"{clock}{level}{self.message}{tail}{end}"


def parse(raw: str) -> LogLine:
    """Any text; what is no JSON line of ours is a message without a time."""
    found = _object(raw)
    if found is None:
        return LogLine(None, OUTPUT, "", "", raw.rstrip("\n"))

    def said(name: str) -> str:
        value = found.get(name, "")
        return value if isinstance(value, str) else str(value)

    return LogLine(
        time=_moment(said("time")),
        level=said("level"),
        process=said("process"),
        logger=said("logger"),
        message=said("message"),
        exception=said("exception"),
        request_id=said("request_id"),
        job=said("job"),
        run=said("run"),
    )


def readable(raw: str) -> str:
    """A line as a terminal shows it; what is no JSON line of ours stays as it is."""
    return raw if _object(raw) is None else parse(raw).text


def wrapped(raw: str, *, process: str, now: datetime) -> str:
    """A line of any kind as a JSON line: what is none becomes the message of one."""
    if _object(raw) is not None:
        return raw
    line = {"time": now.isoformat(), "level": OUTPUT, "process": process, "message": raw}
    return orjson.dumps(line).decode()


def _object(raw: str) -> dict[str, Any] | None:
    if not raw.startswith("{"):
        return None
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and "message" in found else None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
