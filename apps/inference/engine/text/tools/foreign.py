"""Formats that mlx-lm reads and nobody here enforces: Gemma, Kimi, LFM2 and others.

Calls are found and read when they are whole. They have no grammar here: where a call
is forced, it is in the generic format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from apps.inference.engine.protocol import Tool
from apps.inference.engine.text.tools.formats import CallBody, Calls, Opening, WholeBody
from apps.inference.engine.text.tools.rendering import function_of


@dataclass(frozen=True)
class ForeignCalls:
    start: str
    end: str
    parse: Callable[..., Any]
    """``mlx_lm.tool_parsers.*.parse_tool_call``: text and tools to a call or several."""
    native: bool = True
    short_ids: bool = False

    @cached_property
    def openings(self) -> tuple[Opening, ...]:
        return (Opening(self.start),)

    @property
    def markers(self) -> tuple[str, ...]:
        return tuple(marker for marker in (self.start, self.end) if marker)

    def whole(self, tools: Sequence[Tool], *, most: int) -> None:
        return None

    def after(self, opening: Opening, tools: Sequence[Tool]) -> None:
        return None

    def body(self, opening: Opening, tools: Sequence[Tool], *, enforced: bool) -> CallBody:
        read = partial(read_by, self.parse, tools=tools)
        return WholeBody(opening, self.end, read, [tool.name for tool in tools])


def read_by(parse: Callable[..., Any], text: str, tools: Sequence[Tool]) -> Calls:
    """The calls that one of mlx-lm's parsers finds. It may raise nearly anything."""
    calls = parse(text, [function_of(tool) for tool in tools])
    return [
        (call["name"], json.dumps(call["arguments"], ensure_ascii=False))
        for call in (calls if isinstance(calls, list) else [calls])
    ]
