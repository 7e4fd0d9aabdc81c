"""POST /v1/messages: what is refused, and how that is told."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.api.messages.tests.asking import (
    CALL,
    QUESTION,
    RESULT,
    URL,
    WEATHER,
    ask,
)
from apps.inference.engine.protocol import (
    Generate,
)
from apps.inference.tests.conftest import Caller
from tests.engine_scripts import failure
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.usefixtures("tiny", "fake_engine")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": ...}, "model"),
        ({"max_tokens": ...}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [*QUESTION, {"role": "assistant", "content": "In"}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
            "messages[0].content[0]",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        ({"messages": [{"role": "user", "content": [CALL]}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": [RESULT]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "messages"),
        ({"messages": [{"role": "system", "content": [CALL]}]}, "messages[0].content"),
        ({"system": [{"type": "image"}]}, "system[0]"),
        ({"system": 5}, "system"),
        ({"temperature": 2.5}, "temperature"),
        ({"stop_sequences": [""]}, "stop_sequences[0]"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [WEATHER | {"name": "a b"}]}, "tools[0].name"),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "f"}}, "tool_choice"),
        ({"tool_choice": {"type": "some"}}, "tool_choice"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"cache_control": {"type": "eternal"}}, "cache_control.type"),
        ({"context_management": {"edits": [{"type": "x"}]}}, "context_management.edits[0]"),
        ({"container": "c"}, "container"),
        ({"temprature": 1}, "temprature"),
    ],
)
def test_a_wrong_field_is_named(call: Caller, fields: dict[str, Any], path: str) -> None:
    answer = ask(call, **fields)

    assert answer.status == 400
    assert answer.json["type"] == "error"
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["message"].startswith(f"{path}: ")


def test_an_image_is_named_in_its_refusal(call: Caller) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}

    answer = ask(call, messages=[{"role": "user", "content": [image]}])

    assert "'image'" in answer.error["message"]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("context_length_exceeded", 400, "invalid_request_error"),
        ("queue_full", 429, "rate_limit_error"),
        ("insufficient_memory", 529, "overloaded_error"),
        ("deadline_exceeded", 504, "timeout_error"),
        ("internal_error", 500, "api_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_engines_errors_have_anthropics_shape(
    call: Caller, fake_engine: FakeEngine, code: Any, status: int, kind: str, stream: bool
) -> None:
    fake_engine.once(Generate, failure(code, "What to do."))

    answer = ask(call, stream=stream)

    assert answer.status == status
    assert answer.json == {
        "type": "error",
        "error": {"type": kind, "message": "What to do."},
        "request_id": answer.headers["request-id"],
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", URL, 405, "invalid_request_error"),
        ("POST", f"{URL}/batches", 404, "not_found_error"),
    ],
)
def test_other_addresses_are_refused_in_anthropics_shape(
    call: Caller, method: str, path: str, status: int, kind: str
) -> None:
    answer = call(method, path, {})

    assert (answer.status, answer.error["type"]) == (status, kind)


def test_an_unknown_model_is_not_found(call: Caller) -> None:
    answer = ask(call, model="other")

    assert (answer.status, answer.error["type"]) == (404, "not_found_error")
    assert "mlx-hub pull other" in answer.error["message"]


def test_the_other_dialects_keep_their_own_shape(call: Caller) -> None:
    answer = call("POST", "/v1/chat/completions", {})

    assert set(answer.json) == {"error"}
