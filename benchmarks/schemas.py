"""Random JSON Schemas and forced tool calls against the starter model: is every answer valid?

Through HTTP, many at a time. An answer that its limit of tokens cut short proves
nothing and is counted apart; one that finished has to parse and validate.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from apps.inference.engine.tests.random_schemas import (
    drawn,
    parameters,
    problem_with,
    refused,
    schemas,
)
from benchmarks.client import ChatServer
from benchmarks.figures import Figure

AT_ONCE = 32
"""On a CPU a step of so many rows takes little longer than one of a few."""

_MAX_TOKENS = 120
_SECONDS = 1800.0

Outcome = tuple[str, str]
"""``finished``, ``cut``, ``refused`` or ``wrong``, and what there is to say of it."""

Body = dict[str, Any]


def schema_figures(server: ChatServer, count: int) -> Iterable[Figure]:
    """``count`` schemas that can be enforced, and a tenth as many that can't."""
    given = drawn(schemas(), count)
    tally = _asked("schemas", _answer_to_schema, server, given)
    yield _none("schemas: answers that finished and are not valid", tally["wrong"], count)
    yield _none("schemas: refused though they can be enforced", tally["refused"], count)
    yield Figure("schemas: answers that finished", tally["finished"], count, "count", at_least=0.5)
    hopeless = drawn(refused(), max(17, count // 10))
    tally = _asked("schemas of no use", _answer_to_schema, server, hopeless)
    let_through = len(hopeless) - tally["refused"]
    yield _none("schemas: not enforced and not refused", let_through, len(hopeless))


def tool_figures(server: ChatServer, count: int) -> Iterable[Figure]:
    """``count`` sets of tools, each asked in one of the four ways to force a call."""
    given = [(number, tools) for number, tools in enumerate(_toolboxes(count))]
    tally = _asked("forced tool calls", _answer_with_tools, server, given)
    yield _none("forced calls: finished and not valid", tally["wrong"], count)
    yield _none("forced calls: refused", tally["refused"], count)
    yield Figure("forced calls: finished", tally["finished"], count, "count", at_least=0.5)


def _asked(
    what: str,
    ask: Callable[[httpx.Client, ChatServer, Any], Outcome],
    server: ChatServer,
    given: Sequence[Any],
) -> Counter[str]:
    """How often each outcome came; what is wrong is printed with what was asked."""
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}/v1", timeout=_SECONDS) as client,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        outcomes = list(threads.map(lambda each: ask(client, server, each), given))
    for each, (outcome, detail) in zip(given, outcomes, strict=True):
        if outcome == "wrong":
            print(f"  wrong: {detail}\n    asked: {json.dumps(each, ensure_ascii=False)}")
    tally = Counter(outcome for outcome, _ in outcomes)
    print(f"  {len(given)} {what}: {dict(tally)}")
    return tally


def _answer_to_schema(client: httpx.Client, server: ChatServer, schema: dict[str, Any]) -> Outcome:
    form = {"name": "answer", "schema": schema, "strict": True}
    outcome, choice = _choice(
        client,
        server,
        "Make up an example.",
        {"response_format": {"type": "json_schema", "json_schema": form}},
    )
    if outcome != "stop":
        return outcome, str(choice)
    problem = problem_with(choice["message"]["content"], schema)
    return ("wrong", f"{problem}: {choice['message']['content']}") if problem else ("finished", "")


def _answer_with_tools(
    client: httpx.Client, server: ChatServer, given: tuple[int, list[Body]]
) -> Outcome:
    number, tools = given
    by_name = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    named = number % 2 == 0
    first = next(iter(by_name))
    choice = {"type": "function", "function": {"name": first}} if named else "required"
    outcome, answer = _choice(
        client,
        server,
        "Call a function.",
        {"tools": tools, "tool_choice": choice, "parallel_tool_calls": number % 4 < 2},
    )
    if outcome != "tool_calls":
        return ("wrong" if outcome == "stop" else outcome), str(answer)
    for call in answer["message"]["tool_calls"]:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        if name not in by_name or (named and name != first):
            return "wrong", f"{name} was called"
        problem = problem_with(arguments, by_name[name])
        if problem:
            return "wrong", f"{problem}: {arguments}"
    return "finished", ""


def _choice(
    client: httpx.Client, server: ChatServer, text: str, options: Body
) -> tuple[str, dict[str, Any]]:
    """How the answer ended, and the answer; an error that is not the documented one is wrong."""
    body = {
        "model": server.model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": _MAX_TOKENS,
        "temperature": 0.7,
        "seed": 1,
        **options,
    }
    answer = client.post("/chat/completions", json=body)
    told = answer.json()
    if answer.status_code == 400 and told["error"]["type"] == "invalid_request_error":
        return "refused", told
    if answer.status_code != 200:
        return "wrong", told
    choice = told["choices"][0]
    return "cut" if choice["finish_reason"] == "length" else choice["finish_reason"], choice


def _toolboxes(count: int) -> list[list[Body]]:
    """One or two tools each."""
    shapes = drawn(parameters(), 2 * count)
    return [
        [
            {
                "type": "function",
                "function": {"name": f"tool_{place}", "parameters": shape},
            }
            for place, shape in enumerate(shapes[2 * i : 2 * i + 1 + i % 2])
        ]
        for i in range(count)
    ]


def _none(name: str, count: int, out_of: int) -> Figure:
    return Figure(name, count, out_of, "count", at_most=0.0)
