"""POST /v1/messages: what goes in, what comes out, and how it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.inference.engine.protocol import (
    CacheMark,
    Generate,
    Grammar,
    Message,
    Reasoning,
    Sampling,
    Tool,
    ToolCall,
    ToolCallArguments,
    ToolCallStart,
    ToolChoice,
)
from apps.inference.tests.conftest import Answer, Caller
from apps.models.models import Adapter, LocalModel
from tests.fake_engine import FakeEngine, HangUp, failure, reply

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


@pytest.fixture(autouse=True)
def _hub(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    """Every test has a model and an engine."""


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


# --- the answer -----------------------------------------------------------------


def test_an_answer_is_a_message(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("In ", "France.", prompt_tokens=20, cached_tokens=8))

    message = ask(call).json

    assert message.pop("id").startswith("msg_")
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "tiny",
        "content": [{"type": "text", "text": "In France."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 8,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"thinking_tokens": 0},
            "service_tier": "standard",
        },
    }


def test_what_is_thought_said_and_called_are_blocks_in_their_order(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.once(
        Generate,
        *reply(Reasoning(text="Look."), "One moment.", *CALLED, finish_reason="tool_calls"),
    )

    message = ask(call, tools=[WEATHER]).json

    assert message["stop_reason"] == "tool_use"
    assert message["content"] == [
        {"type": "thinking", "thinking": "Look.", "signature": ""},
        {"type": "text", "text": "One moment."},
        CALL,
    ]


@pytest.mark.parametrize(
    ("given", "reason", "sequence"),
    [
        ({"finish_reason": "stop"}, "end_turn", None),
        ({"finish_reason": "stop", "stop_string": "END"}, "stop_sequence", "END"),
        ({"finish_reason": "length"}, "max_tokens", None),
        ({"finish_reason": "tool_calls"}, "tool_use", None),
    ],
)
def test_a_message_says_why_it_ended(
    call: Caller, fake_engine: FakeEngine, given: Any, reason: str, sequence: str | None
) -> None:
    fake_engine.once(Generate, *reply("Paris", **given))

    message = ask(call, max_tokens=1).json

    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)


def test_an_answer_that_filled_the_context_says_so(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Paris", finish_reason="length"))

    assert ask(call, max_tokens=20).json["stop_reason"] == "model_context_window_exceeded"


@pytest.mark.parametrize(
    ("arguments", "input_"),
    [
        ('{"city": "Par', {"city": "Par"}),
        ("", {}),
        ("Paris!", {"INVALID_JSON": "Paris!"}),
        ("[1]", {"INVALID_JSON": "[1]"}),
    ],
)
def test_a_call_that_was_cut_short_has_what_there_is_of_it(
    call: Caller, fake_engine: FakeEngine, arguments: str, input_: Any
) -> None:
    cut = (CALLED[0], ToolCallArguments(index=0, text=arguments))
    fake_engine.once(Generate, *reply(*cut, finish_reason="length"))

    assert ask(call, tools=[WEATHER]).json["content"][0]["input"] == input_


def test_thinking_is_left_out_where_that_is_asked_for(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.always(Generate, *reply(Reasoning(text="Hm."), "Yes."))
    asked_so = {"thinking": {"type": "adaptive", "display": "omitted"}}

    whole = ask(call, **asked_so).json["content"]
    streamed = ask(call, stream=True, **asked_so)

    assert whole[0] == {"type": "thinking", "thinking": "", "signature": ""}
    assert b"Hm." not in streamed.content


# --- the stream -----------------------------------------------------------------


def test_a_stream_tells_the_message_in_anthropics_events(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.once(
        Generate,
        *reply(
            Reasoning(text="Hm."),
            "One ",
            "moment.",
            *CALLED,
            prompt_tokens=20,
            cached_tokens=8,
            finish_reason="tool_calls",
        ),
    )

    answer = ask(call, stream=True, tools=[WEATHER])

    assert answer.headers["Content-Type"] == "text/event-stream"
    told = [data for name, data in events(answer) if name != "ping"]
    assert all(name == data["type"] for name, data in events(answer))
    start, *blocks, delta, stop = told
    assert start["message"]["content"] == []
    assert start["message"]["stop_reason"] is None
    assert start["message"]["usage"]["cache_read_input_tokens"] == 8
    assert [(block.pop("type"), block) for block in blocks] == [
        (
            "content_block_start",
            {"index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        ),
        (
            "content_block_delta",
            {"index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
        ),
        (
            "content_block_delta",
            {"index": 0, "delta": {"type": "signature_delta", "signature": ""}},
        ),
        ("content_block_stop", {"index": 0}),
        ("content_block_start", {"index": 1, "content_block": {"type": "text", "text": ""}}),
        ("content_block_delta", {"index": 1, "delta": {"type": "text_delta", "text": "One "}}),
        ("content_block_delta", {"index": 1, "delta": {"type": "text_delta", "text": "moment."}}),
        ("content_block_stop", {"index": 1}),
        ("content_block_start", {"index": 2, "content_block": CALL | {"input": {}}}),
        (
            "content_block_delta",
            {"index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"city": '}},
        ),
        (
            "content_block_delta",
            {"index": 2, "delta": {"type": "input_json_delta", "partial_json": '"Paris"}'}},
        ),
        ("content_block_stop", {"index": 2}),
    ]
    assert delta["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert delta["usage"]["output_tokens"] == 2
    assert stop == {"type": "message_stop"}


def test_prefill_keeps_the_stream_alive_with_pings(call: Caller) -> None:
    names = [name for name, _ in events(ask(call, stream=True))]

    assert names[:3] == ["message_start", "ping", "ping"]


def test_an_error_in_mid_stream_is_an_event(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", HangUp()))

    name, data = events(ask(call, stream=True))[-1]

    assert name == "error"
    assert data["error"]["type"] == "overloaded_error"
    assert "The engine stopped" in data["error"]["message"]


# --- the request ----------------------------------------------------------------


def test_the_engine_is_asked_what_the_caller_asked(call: Caller, fake_engine: FakeEngine) -> None:
    answer = ask(
        call,
        system=[{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}],
        max_tokens=5,
        temperature=0,
        top_p=0.5,
        top_k=40,
        stop_sequences=["\n", "END"],
        metadata={"user_id": "ada"},
        service_tier="auto",
    )

    assert answer.status == 200
    request = asked(fake_engine)
    assert request.messages == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="Where is Paris?"),
    )
    assert request.sampling == Sampling(
        temperature=0.0, top_p=0.5, top_k=40, max_tokens=5, stop=("\n", "END")
    )
    assert request.client == "api:ada"
    assert request.tools == ()


def test_a_conversation_with_tools_becomes_the_engines_messages(
    call: Caller, fake_engine: FakeEngine
) -> None:
    messages = [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Look.", "signature": "sig"},
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "text", "text": "One moment."},
                CALL,
            ],
        },
        {"role": "user", "content": [RESULT, {"type": "text", "text": "So?"}]},
    ]

    assert ask(call, messages=messages, tools=[WEATHER]).status == 200

    request = asked(fake_engine)
    assert request.messages == (
        Message(role="user", content="Weather?"),
        Message(
            role="assistant",
            content="One moment.",
            reasoning="Look.",
            tool_calls=(ToolCall(id="call_1", name="get_weather", arguments='{"city":"Paris"}'),),
        ),
        Message(role="tool", content="Sunny", tool_call_id="call_1", name="get_weather"),
        Message(role="user", content="So?"),
    )
    (tool,) = request.tools
    assert tool == Tool(
        name="get_weather",
        description="The weather in a city.",
        parameters='{"type":"object","properties":{"city":{"type":"string"}}}',
    )


def test_turns_of_one_role_are_one_turn(call: Caller, fake_engine: FakeEngine) -> None:
    messages = [
        {"role": "user", "content": "One"},
        {"role": "user", "content": " two"},
        {"role": "assistant", "content": "Three"},
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [RESULT]},
    ]

    ask(call, messages=messages)

    roles = [message.role for message in asked(fake_engine).messages]
    assert roles == ["user", "assistant", "tool"]
    assert asked(fake_engine).messages[0].content == "One two"


def test_a_result_that_is_an_error_says_so(call: Caller, fake_engine: FakeEngine) -> None:
    failed = RESULT | {"is_error": True, "content": [{"type": "text", "text": "No such city."}]}
    messages = [*QUESTION, {"role": "assistant", "content": [CALL]}]

    ask(call, messages=[*messages, {"role": "user", "content": [failed]}])

    assert asked(fake_engine).messages[-1].content == "Error: No such city."


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice()),
        ({"type": "auto"}, ToolChoice()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
        ({"type": "any"}, ToolChoice(mode="required")),
        ({"type": "tool", "name": "get_weather"}, ToolChoice(mode="required", name="get_weather")),
        ({"type": "none"}, ToolChoice(mode="none")),
    ],
)
def test_a_tool_choice_is_handed_on(
    call: Caller, fake_engine: FakeEngine, choice: Any, expected: ToolChoice
) -> None:
    assert ask(call, tools=[WEATHER], tool_choice=choice).status == 200

    assert asked(fake_engine).tool_choice == expected


def test_without_a_choice_of_tools_the_model_is_shown_none(
    call: Caller, fake_engine: FakeEngine
) -> None:
    ask(call, tools=[WEATHER], tool_choice={"type": "none"})

    assert asked(fake_engine).tools == ()


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, {}),
        ({"thinking": {"type": "disabled"}}, {"enable_thinking": False}),
        ({"thinking": {"type": "adaptive"}}, {"enable_thinking": True}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048}},
            {"enable_thinking": True, "thinking_budget": 2048},
        ),
        ({"output_config": {"effort": "medium"}}, {"reasoning_effort": "medium"}),
    ],
)
def test_thinking_and_effort_are_the_templates_options(
    call: Caller, fake_engine: FakeEngine, fields: Any, options: Any
) -> None:
    assert ask(call, **fields).status == 200

    assert asked(fake_engine).template_options == options


def test_a_format_is_enforced(call: Caller, fake_engine: FakeEngine) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}

    ask(call, output_config={"format": {"type": "json_schema", "schema": schema}})

    grammar = asked(fake_engine).sampling.grammar
    assert grammar == Grammar(kind="json_schema", text=json.dumps(schema, separators=(",", ":")))


def test_the_line_of_anthropics_accounts_is_left_out(call: Caller, fake_engine: FakeEngine) -> None:
    line = {"type": "text", "text": "x-anthropic-billing-header: cc_version=1; cch=abc12;"}

    ask(call, system=[line, {"type": "text", "text": "Be brief."}])

    assert asked(fake_engine).messages[0].content == "Be brief."


def test_an_adapter_is_named_with_its_model(
    call: Caller, fake_engine: FakeEngine, pirate: Adapter
) -> None:
    assert ask(call, model="tiny:pirate").json["model"] == "tiny:pirate"
    adapter = asked(fake_engine).adapter
    assert adapter is not None
    assert adapter.name == "pirate"


# --- marks of the cache ---------------------------------------------------------

MARK = {"cache_control": {"type": "ephemeral"}}
LONG = {"type": "text", "text": "Once upon a time"}
SHORT = {"type": "text", "text": "Why?"}


@pytest.mark.parametrize(
    ("fields", "mark"),
    [
        ({}, None),
        (MARK, CacheMark(messages=1)),
        ({"system": [LONG | MARK]}, CacheMark(messages=1)),
        ({"system": [LONG | MARK, SHORT]}, CacheMark(messages=1, characters=16)),
        (
            {"messages": [{"role": "user", "content": [LONG | MARK, SHORT]}]},
            CacheMark(messages=1, characters=16),
        ),
        (
            {
                "system": [LONG | MARK],
                "messages": [
                    {"role": "user", "content": [SHORT | MARK]},
                    {"role": "assistant", "content": "Hm."},
                    *QUESTION,
                ],
            },
            CacheMark(messages=2),
        ),
        (
            {
                "messages": [
                    *QUESTION,
                    {"role": "assistant", "content": [CALL]},
                    {"role": "user", "content": [RESULT | MARK, SHORT]},
                ]
            },
            CacheMark(messages=3),
        ),
        ({"tools": [WEATHER | MARK]}, CacheMark(messages=1, characters=0)),
    ],
)
def test_the_last_mark_tells_the_engine_what_will_be_asked_again(
    call: Caller, fake_engine: FakeEngine, fields: Any, mark: CacheMark | None
) -> None:
    assert ask(call, **fields).status == 200

    assert asked(fake_engine).cache_mark == mark


@pytest.mark.parametrize(
    ("cached", "marked", "counts"),
    [(0, 0, (100, 0, 0)), (0, 90, (10, 90, 0)), (30, 90, (10, 60, 30)), (95, 90, (5, 0, 95))],
)
def test_the_three_input_counts_make_up_the_prompt(
    call: Caller, fake_engine: FakeEngine, cached: int, marked: int, counts: tuple[int, int, int]
) -> None:
    fake_engine.once(
        Generate, *reply("Hm.", prompt_tokens=100, cached_tokens=cached, marked_tokens=marked)
    )

    usage = ask(call, system=[LONG | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}]).json[
        "usage"
    ]

    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    assert tuple(usage[name] for name in names) == counts
    assert usage["cache_creation"]["ephemeral_1h_input_tokens"] == counts[1]


# --- errors ---------------------------------------------------------------------


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
    assert answer.json == {"type": "error", "error": {"type": kind, "message": "What to do."}}


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
