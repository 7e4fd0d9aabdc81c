"""What the tests of POST /v1/messages ask, and how."""

from __future__ import annotations

import json
from typing import Any

from apps.inference.engine.protocol import (
    Generate,
    ToolCallArguments,
    ToolCallStart,
)
from apps.inference.tests.conftest import Answer, Caller
from tests.fake_engine import FakeEngine

URL = "/v1/messages"
QUESTION = [{"role": "user", "content": "Where is Paris?"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Paris"}}
RESULT = {"type": "tool_result", "tool_use_id": "call_1", "content": "Sunny"}
CALLED = (
    ToolCallStart(index=0, id="call_1", name="get_weather"),
    ToolCallArguments(index=0, text='{"city": '),
    ToolCallArguments(index=0, text='"Paris"}'),
)


def ask(call: Caller, **fields: Any) -> Answer:
    body: dict[str, Any] = {"model": "tiny", "max_tokens": 20, "messages": QUESTION} | fields
    return call("POST", URL, {name: value for name, value in body.items() if value is not ...})


def asked(fake_engine: FakeEngine) -> Generate:
    request: Generate = fake_engine.wait_for_call(Generate).request
    return request


def events(answer: Answer) -> list[tuple[str, Any]]:
    """An event stream's names and data, in order."""
    told = []
    for block in answer.content.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        told.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return told
