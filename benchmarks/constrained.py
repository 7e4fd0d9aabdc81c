"""What a JSON Schema costs: the answer that keeps to it, and its neighbours in the batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apps.inference.benchmarks.measuring.figures import decode_rate
from apps.inference.benchmarks.measuring.prompts import story
from benchmarks.client import ChatServer
from benchmarks.figures import Figure, median_figure

DECODE_TOKENS = 96
CLIENTS = 8

_MEMBER = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "rank": {"enum": ["captain", "mate", "cook", "deckhand"]},
        "age": {"type": "integer", "minimum": 15, "maximum": 80},
        "born": {"type": "string", "format": "date"},
        "skills": {"type": "array", "items": {"type": "string"}, "maxItems": 4},
    },
    "required": ["name", "rank", "age", "born", "skills"],
    "additionalProperties": False,
}

_CREW: Mapping[str, Any] = {
    "response_format": {
        "type": "json_schema",
        # Longer than the answers may become, so that every one is cut at the same length.
        "json_schema": {
            "name": "crew",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": {"crew": {"type": "array", "items": _MEMBER, "minItems": 20}},
                "required": ["crew"],
                "additionalProperties": False,
            },
        },
    }
}
_FREE: Mapping[str, Any] = {}


def decode_with_a_schema(hub: ChatServer, rounds: int) -> Iterable[Figure]:
    """Tokens per second with and without a schema, alternating; then of mixed company."""
    for clients in (1, CLIENTS):
        free: list[float] = []
        bound: list[float] = []
        for salt in range(rounds):
            bound.append(_rate(hub, salt, [_CREW] * clients))
            free.append(_rate(hub, salt, [_FREE] * clients))
        yield median_figure(
            f"decode with / without a JSON Schema, {clients} client(s)",
            bound,
            free,
            "tok/s",
            at_least=0.9,
        )
    yield _neighbours(hub, rounds)


def _neighbours(hub: ChatServer, rounds: int) -> Figure:
    """Half of the answers keep to a schema; what the other half loses by that."""
    half = CLIENTS // 2
    beside: list[float] = []
    among: list[float] = []
    for salt in range(rounds):
        beside.append(_rate(hub, 100 + salt, [_FREE] * half + [_CREW] * half, of=half))
        among.append(_rate(hub, 100 + salt, [_FREE] * CLIENTS, of=half))
    return median_figure(
        f"decode of {half} free answers beside {half} with a schema / beside {half} free ones",
        beside,
        among,
        "tok/s",
        at_least=0.97,
    )


def _rate(
    hub: ChatServer, salt: int, options: list[Mapping[str, Any]], *, of: int | None = None
) -> float:
    """Tokens per second of the first ``of`` answers, of all by default."""
    chats = [story(5000 + salt, client) for client in range(len(options))]
    answers = hub.ask_mixed(chats, options, max_tokens=DECODE_TOKENS)
    return decode_rate([answer.token_times for answer in answers[:of]])
