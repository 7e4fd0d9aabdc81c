"""POST /v1/messages: what of a request the engine is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.inference.api.messages.tests.asking import (
    CALL,
    QUESTION,
    RESULT,
    WEATHER,
    ask,
    asked,
)
from apps.inference.engine.protocol import (
    CacheMark,
    Generate,
    Grammar,
    Message,
    Sampling,
    Tool,
    ToolCall,
    ToolChoice,
)
from apps.inference.tests.conftest import Caller
from apps.models.models import Adapter
from tests.engine_scripts import reply
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.usefixtures("tiny", "fake_engine")

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
