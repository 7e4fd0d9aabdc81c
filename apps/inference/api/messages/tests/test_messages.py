"""POST /v1/messages: the answer, whole and streamed."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.api.messages.tests.asking import (
    CALL,
    CALLED,
    WEATHER,
    ask,
    events,
)
from apps.inference.engine.protocol import (
    Generate,
    Reasoning,
    ToolCallArguments,
)
from apps.inference.tests.conftest import Caller
from tests.engine_scripts import HangUp, reply
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.usefixtures("tiny", "fake_engine")

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
