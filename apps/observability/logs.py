"""How a process writes its log: JSON lines for files, plain lines for terminals.

The code logs with the standard library. structlog's formatter makes a line of a record:
it knows context variables, exceptions and foreign loggers, and nothing has to import it.
"""

from __future__ import annotations

import logging.config
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from apps.redaction.filter import RedactingFilter

Form = Literal["text", "json"]

MOST_CHARACTERS = 16_000
"""Of a message and of a traceback. The supervisor breaks lines of 64 KiB."""

TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def logging_config(*, process: str, level: str, form: Form) -> dict[str, Any]:
    """For logging.config.dictConfig."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"redact": {"()": RedactingFilter}},
        "formatters": {"line": {"()": formatter, "process": process, "form": form}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["redact"],
            }
        },
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            # It logs every address it opens, and a download's address is signed: a secret.
            "httpx2": {"level": "WARNING"},
            # These two bring handlers of their own, or make them where they find none.
            "uvicorn": {"handlers": []},
            "uvicorn.error": {"handlers": []},
            "uvicorn.access": {"handlers": [], "propagate": True},
            # At "info" it tells of every periodic task, several a second.
            "huey": {
                "handlers": ["stderr"],
                "propagate": False,
                "level": "DEBUG" if level.lower() == "debug" else "WARNING",
            },
            # A command says on its own what became of its work.
            "apps.jobs": {"level": "WARNING" if process == "command" else "NOTSET"},
            # Its own middleware tells a request's end (apps.system.logs.requests).
            "django.request": {"level": "ERROR"},
        },
    }


def configure(*, process: str, level: str, form: Form) -> None:
    """Log to standard error from now on; for processes without Django."""
    logging.config.dictConfig(logging_config(process=process, level=level, form=form))


def formatter(*, process: str, form: Form) -> logging.Formatter:
    """What makes lines of records."""
    if form == "text":
        return logging.Formatter(TEXT)

    def named(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.stdlib.add_log_level,
            named,
            structlog.stdlib.add_logger_name,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ExtraAdder(allow=("request_id", "job", "run")),
            structlog.processors.format_exc_info,
            _formatted_before,
            structlog.processors.EventRenamer("message"),
            _shortened,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
    )


def _formatted_before(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A traceback that the redacting filter made text of."""
    if text := event["_record"].exc_text:
        event["exception"] = text
    return event


def _shortened(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    for name in ("message", "exception"):
        text = event.get(name)
        if isinstance(text, str) and len(text) > MOST_CHARACTERS:
            # A traceback's end says what happened; a message's beginning does.
            cut = text[:MOST_CHARACTERS] if name == "message" else text[-MOST_CHARACTERS:]
            event[name] = f"{cut} …" if name == "message" else f"… {cut}"
    return event


def _json(event: EventDict, **options: Any) -> str:
    # Half a surrogate pair is no JSON: what a client sent may hold one.
    try:
        return orjson.dumps(event, default=str).decode()
    except orjson.JSONEncodeError:
        mended = {key: str(value).encode(errors="replace").decode() for key, value in event.items()}
        return orjson.dumps(mended).decode()
