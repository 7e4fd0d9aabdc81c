"""How big a request may be, whichever dialect it came in.

These keep one caller from occupying the tokenizer, or memory, for all. What the
schemas bound (``n``, the number of stop strings, names) they say themselves; how
complex a schema, a pattern or a grammar may be, the engine says, which compiles it.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized

from django.conf import settings

from apps.inference.engine.protocol import Generate

MAX_STOP_CHARACTERS = 1000
"""Of one stop string; each is looked for in every piece of the answer."""

MAX_TOOLS = 128
"""As in OpenAI's API."""

MAX_TOOL_SCHEMA_CHARACTERS = 512 * 1024
"""Of all tools' parameters together."""

MAX_HEADER_BYTES = 32 * 1024
"""Of all headers together."""


class OutOfBounds(Exception):
    """The request asks for more than the hub takes; ``param`` is the field at fault."""

    def __init__(self, message: str, *, param: str, code: str = "request_out_of_bounds") -> None:
        super().__init__(message)
        self.param = param
        self.code = code


def check_bounds(requests: Sequence[Generate]) -> None:
    """Raises OutOfBounds."""
    first = requests[0]
    _check_messages(first)
    _check_tools(first)
    for request in requests:
        _check_prompt(request)
    for stop in first.sampling.stop:
        if len(stop) > MAX_STOP_CHARACTERS:
            raise OutOfBounds(
                f"A stop string has {len(stop):,} characters; at most {MAX_STOP_CHARACTERS:,} "
                "are taken.",
                param="stop",
            )


def check_size(texts: Sequence[Sized], *, param: str) -> None:
    """For texts, or their tokens, that are worked on one by one. Raises OutOfBounds."""
    size, most = sum(map(len, texts)), settings.HUB.max_prompt_characters
    if size > most:
        raise OutOfBounds(
            f"The texts have {size:,} characters; at most {most:,} are taken at once. Send them "
            "in several requests, or raise MLXHUB_MAX_PROMPT_CHARACTERS.",
            param=param,
        )


def _check_messages(request: Generate) -> None:
    count, most = len(request.messages), settings.HUB.max_messages
    if count > most:
        raise OutOfBounds(
            f"The conversation has {count:,} messages; at most {most:,} are taken. Leave out the "
            "oldest ones, or raise MLXHUB_MAX_MESSAGES.",
            param="messages",
        )


def _check_prompt(request: Generate) -> None:
    most = settings.HUB.max_prompt_characters
    size = sum(len(each.content) + len(each.reasoning) for each in request.messages)
    size += len(request.prompt or "")
    if size > most:
        raise OutOfBounds(
            f"The prompt has {size:,} characters; at most {most:,} are taken. Shorten it, or raise "
            "MLXHUB_MAX_PROMPT_CHARACTERS.",
            param="messages" if request.messages else "prompt",
        )


def _check_tools(request: Generate) -> None:
    if len(request.tools) > MAX_TOOLS:
        raise OutOfBounds(
            f"The request has {len(request.tools):,} tools; at most {MAX_TOOLS} are taken.",
            param="tools",
        )
    size = sum(len(tool.parameters) for tool in request.tools)
    if size > MAX_TOOL_SCHEMA_CHARACTERS:
        raise OutOfBounds(
            f"The tools' parameters have {size:,} characters; at most "
            f"{MAX_TOOL_SCHEMA_CHARACTERS:,} are taken.",
            param="tools",
        )
