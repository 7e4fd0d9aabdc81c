"""POST /v1/chat/completions, in this process: what is refused, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.api import chat, chat_stream
from apps.inference.engine.protocol import Generate, Loading
from apps.inference.tests.chatting import URL, ask
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.engine_scripts import HangUp, failure, reply
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.usefixtures("tiny", "fake_engine")

# --- validation ---------------------------------------------------------------


def test_a_content_that_is_no_text_is_told_what_would_do(call: Caller) -> None:
    answer = ask(call, messages=[{"role": "user", "content": None}])
    assert "a string or a list of text parts" in answer.error["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ...}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"messages": ...}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "0.5"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"seed": 2**63}, "seed"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": ["a", ""]}, "stop[1]"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"temprature": 1}, "temprature"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"logit_bias": {"the": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias"),
        ({"logit_bias": {"1": "x"}}, "logit_bias.1"),
        ({"n": 0}, "n"),
        ({"n": 17}, "n"),
        ({"logprobs": 1}, "logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"priority": "high"}, "priority"),
        ({"service_tier": "cheap"}, "service_tier"),
        ({"deadline_seconds": 0}, "deadline_seconds"),
        ({"cache_salt": ""}, "cache_salt"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format.json_schema.name",
        ),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs"),
        ({"structured_outputs": {"json": "{"}}, "structured_outputs.json"),
        ({"structured_outputs": {"choice": [""]}}, "structured_outputs.choice[0]"),
        (
            {
                "response_format": {"type": "json_object"},
                "structured_outputs": {"regex": "a"},
            },
            "structured_outputs",
        ),
    ],
)
def test_a_wrong_field_is_named(call: Caller, fields: dict[str, Any], param: str) -> None:
    answer = ask(call, **fields)

    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["param"] == param
    assert answer.error["message"].startswith(f"{param}: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("functions", [{"name": "f"}]),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy", "format": "wav"}),
        ("web_search_options", {"search_context_size": "low"}),
    ],
)
def test_what_the_hub_cannot_do_is_refused_by_name(call: Caller, field: str, value: Any) -> None:
    answer = ask(call, **{field: value})

    assert answer.status == 400
    assert answer.error["param"] == field
    assert answer.error["code"] == "unsupported_parameter"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"model": "tiny",}',
        b'{"temperature": NaN}',
        b'{"model": "\\ud800"}',
    ],
)
def test_a_body_that_is_no_json_is_refused(call: Caller, body: bytes) -> None:
    answer = call("POST", URL, body)

    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["code"] == "invalid_json"


@pytest.mark.parametrize("body", [b"", b"[]", b'"tiny"', b"null", b"5"])
def test_a_body_that_is_no_object_is_refused(call: Caller, body: bytes) -> None:
    answer = call("POST", URL, body)

    assert answer.status == 400
    assert answer.error["message"] == "The request needs a JSON object as its body."


def test_a_number_beyond_floats_is_refused(call: Caller) -> None:
    body = b'{"model": "tiny", "messages": [{"role": "user", "content": "x"}], "top_p": 1e999}'

    answer = call("POST", URL, body)

    assert answer.status == 400
    assert answer.error["param"] == "top_p"


def test_a_body_beyond_the_limit_is_refused(call: Caller, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    answer = ask(call, messages=[{"role": "user", "content": "x" * 200}])

    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"


# --- errors -------------------------------------------------------------------


def test_an_unknown_model_is_answered_with_the_way_to_get_it(
    call: Caller, qwen: LocalModel
) -> None:
    answer = ask(call, model="acme/Other")

    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
    assert answer.error["param"] == "model"
    assert "`mlx-hub pull acme/Other`" in answer.error["message"]
    assert "qwen, tiny" in answer.error["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("code", "status", "kind", "retry_after"),
    [
        ("invalid_request", 400, "invalid_request_error", None),
        ("context_length_exceeded", 400, "invalid_request_error", None),
        ("chat_template_error", 400, "invalid_request_error", None),
        ("queue_full", 429, "rate_limit_error", "3"),
        ("insufficient_memory", 503, "server_error", "3"),
        ("adapter_failed", 500, "server_error", None),
        ("deadline_exceeded", 504, "server_error", None),
        ("shutting_down", 503, "server_error", "3"),
        ("model_load_failed", 500, "server_error", None),
        ("internal_error", 500, "server_error", None),
    ],
)
def test_the_engines_refusal_has_its_status(
    call: Caller,
    fake_engine: FakeEngine,
    code: Any,
    status: int,
    kind: str,
    retry_after: str | None,
    stream: bool,
) -> None:
    fake_engine.once(Generate, Loading(model="tiny"), failure(code, "What to do.", retry_after=2.5))

    answer = ask(call, stream=stream)

    assert answer.status == status
    assert answer.error["type"] == kind
    assert answer.error["code"] == code
    assert answer.error["message"] == "What to do."
    assert answer.headers.get("Retry-After") == retry_after


def test_a_full_queue_without_an_estimate_names_a_time_all_the_same(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, failure("queue_full"))

    assert int(ask(call).headers["Retry-After"]) > 0


@pytest.mark.parametrize("stream", [False, True])
def test_without_an_engine_the_hub_says_how_to_start_one(
    call: Caller, fake_engine: FakeEngine, stream: bool
) -> None:
    fake_engine.stop()

    answer = ask(call, stream=stream)

    assert answer.status == 503
    assert answer.error["code"] == "engine_unavailable"
    assert "mlx-hub up" in answer.error["message"]
    assert int(answer.headers["Retry-After"]) > 0


def test_an_engine_that_dies_mid_answer_is_an_error(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", HangUp()))

    assert ask(call).status == 503


@pytest.mark.parametrize(
    ("ending", "code"),
    [(HangUp(), "engine_unavailable"), (failure("internal_error"), "internal_error")],
)
def test_a_stream_that_breaks_off_says_so_before_it_ends(
    call: Caller, fake_engine: FakeEngine, ending: Any, code: str
) -> None:
    fake_engine.once(Generate, *reply("Par", ending))

    answer = ask(call, stream=True)

    *_, text, error = answer.data
    assert text["choices"][0]["delta"] == {"content": "Par"}
    assert error["error"]["code"] == code


def test_a_bug_mid_stream_is_told_without_its_inside(
    call: Caller, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(chat_stream.ChatTeller, "over", broken)
    fake_engine.once(Generate, *reply("Par"))

    answer = ask(call, stream=True)

    assert answer.data[-1]["error"]["code"] == "internal_error"
    assert b"secret" not in answer.content


def test_a_bug_is_answered_without_its_inside(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(chat, "chat_call", broken)

    answer = ask(call)

    assert answer.status == 500
    assert answer.error["code"] == "internal_error"
    assert b"secret" not in answer.content
