"""What a tool-call format is.

A format says where a call opens in an answer's text, which grammar what follows
keeps to, and how that is read. Reading needs no grammar: a model may write anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from apps.inference.engine.errors import InvalidRequest
from apps.inference.engine.protocol import Tool
from apps.inference.engine.sampling.json_schema import guided

MOST_CALLS = 16
"""In one answer, where calls are forced: small models may never come to an end."""

WS = r"WS: / |\n[ \t]{0,8}|/"
"""White space in calls: one blank, or a line break and an indentation, or none."""


@dataclass(frozen=True)
class Name:
    """A call begins."""

    name: str


@dataclass(frozen=True)
class Arguments:
    """A piece of its arguments: JSON text."""

    text: str


@dataclass(frozen=True)
class Plain:
    """Text, its opening included, that turned out not to be a call."""

    text: str


Part = Name | Arguments | Plain

Calls = list[tuple[str, str]]
"""Names and arguments, as JSON text."""


@dataclass(frozen=True)
class Opening:
    """What tells that a call begins."""

    text: str
    at_start: bool = False
    """It counts where the answer begins with it, and is part of the call itself."""


class CallBody(Protocol):
    """What follows an opening, read as it comes."""

    @property
    def finished(self) -> bool:
        """Whether the calls are over; ``rest`` is then the text behind them."""
        ...

    @property
    def rest(self) -> str: ...

    def feed(self, text: str) -> list[Part]:
        """What this text makes certain."""
        ...

    def close(self) -> list[Part]:
        """The answer is over."""
        ...


class ToolFormat(Protocol):
    """How a model writes tool calls."""

    @property
    def openings(self) -> tuple[Opening, ...]: ...

    @property
    def markers(self) -> tuple[str, ...]:
        """Texts that may be special tokens of the model, which have no text otherwise."""
        ...

    @property
    def native(self) -> bool:
        """Whether the model's own template presents tools so."""
        ...

    @property
    def short_ids(self) -> bool:
        """Whether the template takes call ids of nine letters and digits only, as Mistral's do."""
        ...

    def whole(self, tools: Sequence[Tool], *, most: int) -> str | None:
        """Lark rules of ``calls``: one to ``most`` calls; None where the format has no grammar."""
        ...

    def after(self, opening: Opening, tools: Sequence[Tool]) -> str | None:
        """A Lark grammar of what follows ``opening``, up to the end of its calls."""
        ...

    def body(self, opening: Opening, tools: Sequence[Tool], *, enforced: bool) -> CallBody:
        """A reader of what follows ``opening``.

        Where calls are ``enforced``, arguments are given as they come. Elsewhere a call is
        given once it is whole and known to be one.
        """
        ...


class WholeBody:
    """Keeps what comes until the closing marker, or to the answer's end, then reads it."""

    def __init__(
        self, opening: Opening, closing: str, read: Callable[[str], Calls], names: Sequence[str]
    ) -> None:
        """``read`` raises ValueError for what is no call."""
        self._opening = opening.text
        self._held = opening.text if opening.at_start else ""
        self._before = "" if opening.at_start else opening.text
        self._closing = closing
        self._read = read
        self._names = frozenset(names)
        self.finished = False
        self.rest = ""

    def feed(self, text: str) -> list[Part]:
        self._held += text
        at = self._held.find(self._closing) if self._closing else -1
        if at < 0:
            return []
        held, self.rest = self._held[:at], self._held[at + len(self._closing) :]
        return self._end(held, self._closing)

    def close(self) -> list[Part]:
        return [] if self.finished else self._end(self._held, "")

    def _end(self, held: str, closing: str) -> list[Part]:
        self.finished, self._held = True, ""
        return read_whole(held, self._read, self._names) or [
            Plain(f"{self._before}{held}{closing}")
        ]


def read_whole(text: str, read: Callable[[str], Calls], names: frozenset[str]) -> list[Part]:
    """The calls in ``text``; none where it can't be read or names what was not offered."""
    try:
        calls = read(text)
    except (ValueError, TypeError, LookupError, AttributeError, SyntaxError, RecursionError):
        return []
    if not calls or any(name not in names for name, _ in calls):
        return []
    return [part for name, given in calls for part in (Name(name), Arguments(given))]


def parameters_of(tool: Tool) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments: of an object, whatever it leaves open.

    Raises ValueError where it is no JSON object.
    """
    schema = json.loads(tool.parameters)
    if not isinstance(schema, dict):
        raise ValueError("the parameters are no JSON Schema object")
    return {"type": "object"} | schema


def enforced_schema(schema: dict[str, Any], tool: Tool) -> str:
    """A schema as llguidance takes it in a Lark grammar.

    What llguidance can't enforce is left out, unless the tool is strict: schemas that
    other programs wrote for their tools are full of such. Raises InvalidRequest.
    """
    try:
        enforced = guided(schema, lenient=not tool.strict)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The parameters of {tool.name} can't be used: {error}.") from error
    return "%json " + json.dumps(enforced, ensure_ascii=False)


def quoted(text: str) -> str:
    """A Lark literal."""
    return json.dumps(text, ensure_ascii=False)
