"""Tools and reasoning in chat completions, in this process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.inference.engine.protocol import (
    Delta,
    Done,
    Generate,
    Message,
    Prompt,
    Reasoning,
    Timings,
    ToolCall,
    ToolCallArguments,
    ToolCallStart,
    ToolChoice,
    Usage,
)
from apps.inference.tests.conftest import Answer, Caller
from apps.models.models import LocalModel
from tests.fake_engine import FakeEngine

URL = "/v1/chat/completions"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CLOCK = {"type": "function", "function": {"name": "clock"}}
NAMED = {"type": "function", "function": {"name": "clock"}}


@pytest.fixture(autouse=True)
def _cast(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    pass


def ask(call: Caller, **fields: Any) -> Answer:
    messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
    return call("POST", URL, {"model": "tiny", "messages": messages} | fields)


def answer_of(*events: Any, finish_reason: Any = "tool_calls") -> tuple[Any, ...]:
    usage = Usage(prompt_tokens=9, completion_tokens=7, cached_tokens=0, reasoning_tokens=3)
    timings = Timings(queued=0.0, time_to_first_token=0.1, decode=0.1, tokens_per_second=9.0)
    done = Done(finish_reason=finish_reason, usage=usage, timings=timings)
    return (Prompt(prompt_tokens=9, cached_tokens=0), *events, done)


TWO_CALLS = answer_of(
    Reasoning(text="He asks "),
    Reasoning(text="for Oslo."),
    ToolCallStart(index=0, id="call_a", name="weather"),
    ToolCallArguments(index=0, text='{"city": '),
    ToolCallArguments(index=0, text='"Oslo"}'),
    ToolCallStart(index=1, id="call_b", name="clock"),
    ToolCallArguments(index=1, text="{}"),
)


# --- in -----------------------------------------------------------------------


def test_the_engine_is_told_of_tools_calls_and_results(
    call: Caller, fake_engine: FakeEngine
) -> None:
    called = {"id": "call_a", "type": "function"}
    called["function"] = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    answer = ask(
        call,
        messages=[
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [called],
                "reasoning_content": "Oslo?",
            },
            {"role": "tool", "tool_call_id": "call_a", "content": "rain"},
        ],
        tools=[WEATHER, CLOCK],
        parallel_tool_calls=False,
        reasoning_effort="low",
        chat_template_kwargs={"enable_thinking": True},
        metadata={"a": "b"},
        store=False,
    )

    assert answer.status == 200
    request = fake_engine.wait_for_call(Generate).request
    calls = (ToolCall(id="call_a", name="weather", arguments='{"city": "Oslo"}'),)
    assert request.messages[1] == Message(
        role="assistant", content="", tool_calls=calls, reasoning="Oslo?"
    )
    assert request.messages[2] == Message(role="tool", content="rain", tool_call_id="call_a")
    weather, clock = request.tools
    assert weather.description == "The weather of a city"
    assert json.loads(weather.parameters) == WEATHER["function"]["parameters"]  # type: ignore[index]
    assert json.loads(clock.parameters)["additionalProperties"] is False
    assert request.tool_choice == ToolChoice(mode="auto", parallel=False)
    assert request.template_options == {"reasoning_effort": "low", "enable_thinking": True}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ToolChoice()),
        ("none", ToolChoice(mode="none")),
        ("required", ToolChoice(mode="required")),
        (NAMED, ToolChoice(mode="required", name="clock")),
    ],
)
def test_a_choice_is_the_engines(
    call: Caller, fake_engine: FakeEngine, choice: Any, expected: ToolChoice
) -> None:
    assert ask(call, tools=[CLOCK], tool_choice=choice).status == 200
    assert fake_engine.wait_for_call(Generate).request.tool_choice == expected


def _tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f"} | function}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "custom", "function": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [_tool(name="a b")]}, "tools[0].function.name"),
        ({"tools": [_tool(parameters=[])]}, "tools[0].function.parameters"),
        ({"tools": [_tool(parmeters={})]}, "tools[0].function.parmeters"),
        ({"tools": [CLOCK, CLOCK]}, "tools"),
        ({"tools": [_tool(name=f"f{i}") for i in range(129)]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes", "tools": [CLOCK]}, "tool_choice"),
        ({"tool_choice": NAMED}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools"}, "tools": [CLOCK]}, "tool_choice.type"),
        ({"tool_choice": {"type": "function"}, "tools": [CLOCK]}, "tool_choice.function"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs"),
        (
            {"messages": [{"role": "user", "content": "x", "tool_call_id": "a"}]},
            "messages[0].tool_call_id",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": "x",
                        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}],
                    }
                ]
            },
            "messages[0].tool_calls",
        ),
    ],
)
def test_a_wrong_field_is_named(call: Caller, fields: dict[str, Any], param: str) -> None:
    answer = ask(call, **fields)
    assert answer.status == 400
    assert answer.error["param"] == param


def test_the_older_form_of_results_is_refused_with_the_newer_one(call: Caller) -> None:
    answer = ask(call, messages=[{"role": "function", "name": "f", "content": "rain"}])
    assert answer.status == 400
    assert "role tool" in answer.error["message"]


# --- out ----------------------------------------------------------------------


def test_calls_and_thoughts_come_back_whole(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *TWO_CALLS)

    answer = ask(call, tools=[WEATHER, CLOCK])

    (choice,) = answer.json["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "He asks for Oslo.",
        "tool_calls": [
            {
                "id": "call_a",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
            },
            {"id": "call_b", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
        ],
    }
    assert answer.json["usage"]["completion_tokens_details"] == {"reasoning_tokens": 3}


def test_calls_and_thoughts_are_streamed_in_pieces(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *TWO_CALLS)

    *chunks, last = ask(call, tools=[WEATHER, CLOCK], stream=True).data

    assert last == "[DONE]"
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["delta"] for choice in choices[1:]] == [
        {"reasoning_content": "He asks "},
        {"reasoning_content": "for Oslo."},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "call_a",
                    "type": "function",
                    "function": {"name": "weather", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "call_b",
                    "type": "function",
                    "function": {"name": "clock", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert choices[-1]["finish_reason"] == "tool_calls"


def test_text_beside_calls_stays(call: Caller, fake_engine: FakeEngine) -> None:
    start = ToolCallStart(index=0, id="call_a", name="clock")
    fake_engine.once(Generate, *answer_of(Delta(text="Let me see."), start))

    message = ask(call, tools=[CLOCK]).json["choices"][0]["message"]

    assert message["content"] == "Let me see."
    assert message["tool_calls"][0]["function"]["arguments"] == ""
