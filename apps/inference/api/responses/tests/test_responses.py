"""POST /v1/responses: what goes in, what comes out, and how it is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.inference.engine.protocol import (
    Delta,
    Generate,
    Grammar,
    Message,
    Reasoning,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallArguments,
    ToolCallStart,
    ToolChoice,
    TopToken,
)
from apps.inference.tests.conftest import Answer, Caller
from apps.models.models import LocalModel
from tests.engine_scripts import HangUp, reply
from tests.fake_engine import FakeEngine

URL = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TIME = {"type": "function", "name": "get_time"}
CALL = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"city": "Paris"}',
}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"}
CALLED = (
    ToolCallStart(index=0, id="call_1", name="get_weather"),
    ToolCallArguments(index=0, text='{"city": '),
    ToolCallArguments(index=0, text='"Paris"}'),
)


@pytest.fixture(autouse=True)
def _hub(tiny: LocalModel, fake_engine: FakeEngine) -> None:
    """Every test has a model and an engine."""


def ask(call: Caller, **fields: Any) -> Answer:
    body: dict[str, Any] = {"model": "tiny", "input": "Where is Paris?"} | fields
    return call("POST", URL, {name: value for name, value in body.items() if value is not ...})


def asked(fake_engine: FakeEngine) -> Generate:
    request: Generate = fake_engine.wait_for_call(Generate).request
    return request


def events(answer: Answer) -> list[Any]:
    """An event stream's data, in order; each says its type in its name as well."""
    told = []
    for block in answer.content.decode().strip().split("\n\n"):
        if not block.startswith(":"):
            name, data = block.split("\n")
            told.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {told[-1]['type']}"
    return told


# --- the answer -----------------------------------------------------------------


def test_an_answer_is_a_response(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("In ", "France.", prompt_tokens=20, cached_tokens=8))

    response = ask(call, metadata={"a": "b"}, user="ada").json

    key = response["id"].removeprefix("resp_")
    assert response["object"] == "response"
    assert response["status"] == "completed"
    assert response["model"] == "tiny"
    assert response["output"] == [
        {
            "id": f"msg_{key}_0",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {"type": "output_text", "text": "In France.", "annotations": [], "logprobs": []}
            ],
        }
    ]
    assert response["usage"] == {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 8},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 22,
    }
    assert response["metadata"] == {"a": "b"}
    assert (response["temperature"], response["top_p"]) == (1.0, 1.0)
    assert response["text"]["format"] == {"type": "text"}
    assert (response["tool_choice"], response["parallel_tool_calls"]) == ("auto", True)
    assert (response["store"], response["truncation"]) == (True, "disabled")


def test_an_answer_that_was_cut_short_is_incomplete(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.always(Generate, *reply("In ", finish_reason="length"))

    response = ask(call, max_output_tokens=1).json
    last = events(ask(call, max_output_tokens=1, stream=True))[-1]

    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"
    assert last["type"] == "response.incomplete"


def test_log_probabilities_are_told_where_they_are_asked_for(
    call: Caller, fake_engine: FakeEngine
) -> None:
    top = TopToken(text="In", bytes=(73, 110), logprob=-0.5)
    token = TokenLogprob(text="In", bytes=(73, 110), logprob=-0.5, top=(top,))
    fake_engine.once(Generate, *reply(Delta(text="In", logprobs=(token,))))

    response = ask(call, include=["message.output_text.logprobs"], top_logprobs=1).json

    (told,) = response["output"][0]["content"][0]["logprobs"]
    assert (told["token"], told["logprob"]) == ("In", -0.5)
    assert told["top_logprobs"][0]["token"] == "In"
    assert asked(fake_engine).sampling.logprobs == 1


# --- the stream -----------------------------------------------------------------


def test_a_stream_tells_the_response_in_openais_events(
    call: Caller, fake_engine: FakeEngine
) -> None:
    fake_engine.once(
        Generate,
        *reply(Reasoning(text="Hm."), "One ", "moment.", *CALLED, finish_reason="tool_calls"),
    )

    told = events(ask(call, stream=True, tools=[WEATHER]))

    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert [event["type"].removeprefix("response.") for event in told] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    created, completed = told[0]["response"], told[-1]["response"]
    assert (created["status"], created["output"], created["usage"]) == ("in_progress", [], None)
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert completed["output"] == done
    added = [event["item"] for event in told if event["type"] == "response.output_item.added"]
    assert [item["id"] for item in added] == [item["id"] for item in done]
    assert [item["status"] for item in added] == ["in_progress"] * 3
    assert added[1]["content"] == []
    for event in told:
        if "item_id" in event:
            assert event["item_id"] == done[event["output_index"]]["id"]
    (arguments,) = [
        event for event in told if event["type"] == "response.function_call_arguments.done"
    ]
    assert arguments["arguments"] == '{"city": "Paris"}'


def test_prefill_keeps_the_stream_alive_with_comments(call: Caller) -> None:
    assert b"\n\n: prefill 12/12\n\n" in ask(call, stream=True).content


def test_an_answer_that_breaks_off_is_told_as_failed(call: Caller, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", HangUp()))

    last = events(ask(call, stream=True))[-1]

    assert last["type"] == "response.failed"
    assert last["response"]["error"]["code"] == "server_error"
    assert last["response"]["output"][0]["content"][0]["text"] == "Par"


# --- the request ----------------------------------------------------------------


def test_the_engine_is_asked_what_the_caller_asked(call: Caller, fake_engine: FakeEngine) -> None:
    answer = ask(
        call,
        instructions="Be brief.",
        input=[
            {"role": "developer", "content": "In French."},
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        ],
        temperature=0,
        top_p=0.5,
        max_output_tokens=5,
        user="ada",
        service_tier="flex",
    )

    assert answer.status == 200
    request = asked(fake_engine)
    assert request.messages == (
        Message(role="system", content="Be brief."),
        Message(role="developer", content="In French."),
        Message(role="user", content="Hi"),
    )
    assert request.sampling == Sampling(temperature=0.0, top_p=0.5, max_tokens=5)
    assert request.client == "api:ada"
    assert request.priority == "batch"
    assert answer.json["service_tier"] == "flex"


def test_what_the_model_did_in_a_turn_is_one_message(call: Caller, fake_engine: FakeEngine) -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Look."}],
    }
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "One moment.", "annotations": []}],
    }
    again = CALL | {"call_id": "call_2"}
    items = [
        {"role": "user", "content": "Weather?"},
        thought,
        said,
        CALL,
        again,
        OUTPUT,
        OUTPUT | {"call_id": "call_2", "output": [{"type": "input_text", "text": "Still sunny"}]},
        said,
    ]

    assert ask(call, input=items, tools=[WEATHER]).status == 200

    request = asked(fake_engine)
    calls = tuple(
        ToolCall(id=call_id, name="get_weather", arguments='{"city": "Paris"}')
        for call_id in ("call_1", "call_2")
    )
    assert request.messages == (
        Message(role="user", content="Weather?"),
        Message(role="assistant", content="One moment.", reasoning="Look.", tool_calls=calls),
        Message(role="tool", content="Sunny", tool_call_id="call_1", name="get_weather"),
        Message(role="tool", content="Still sunny", tool_call_id="call_2", name="get_weather"),
        Message(role="assistant", content="One moment."),
    )
    assert request.tools == (
        Tool(
            name="get_weather",
            description="The weather in a city.",
            parameters='{"type":"object","properties":{"city":{"type":"string"}}}',
        ),
    )


@pytest.mark.parametrize(
    ("fields", "expected", "shown"),
    [
        ({}, ToolChoice(), 2),
        ({"tool_choice": "none"}, ToolChoice(mode="none"), 0),
        ({"tool_choice": "required"}, ToolChoice(mode="required"), 2),
        ({"parallel_tool_calls": False}, ToolChoice(parallel=False), 2),
        (
            {"tool_choice": {"type": "function", "name": "get_time"}},
            ToolChoice(mode="required", name="get_time"),
            2,
        ),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "get_time"}],
                }
            },
            ToolChoice(mode="required"),
            1,
        ),
    ],
)
def test_a_tool_choice_is_handed_on(
    call: Caller, fake_engine: FakeEngine, fields: Any, expected: ToolChoice, shown: int
) -> None:
    answer = ask(call, tools=[WEATHER, TIME], **fields)

    assert answer.status == 200
    assert asked(fake_engine).tool_choice == expected
    assert len(asked(fake_engine).tools) == shown
    assert answer.json["tool_choice"] == fields.get("tool_choice", "auto")


@pytest.mark.parametrize(
    ("wanted", "grammar"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, '{"type":"object"}'),
        ({"type": "json_schema", "name": "n", "schema": {"type": "null"}}, '{"type":"null"}'),
    ],
)
def test_a_format_is_enforced(
    call: Caller, fake_engine: FakeEngine, wanted: Any, grammar: str | None
) -> None:
    answer = ask(call, text={"format": wanted})

    expected = None if grammar is None else Grammar(kind="json_schema", text=grammar)
    assert asked(fake_engine).sampling.grammar == expected
    told = answer.json["text"]["format"]
    assert {name: told[name] for name in wanted} == wanted


@pytest.mark.parametrize("effort", ["none", "minimal", "high"])
def test_effort_is_the_templates_option(call: Caller, fake_engine: FakeEngine, effort: str) -> None:
    answer = ask(call, reasoning={"effort": effort, "summary": "auto"})

    assert asked(fake_engine).template_options == {"reasoning_effort": effort}
    assert answer.json["reasoning"] == {"effort": effort, "summary": "auto"}


# --- refusals -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ...}, "model"),
        ({"input": 5}, "input"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0]",
        ),
        ({"input": [{"type": "web_search_call"}]}, "input[0]"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
        ({"input": [OUTPUT]}, "input"),
        ({"input": [{"type": "item_reference", "id": "msg_1_0"}]}, "input"),
        ({"input": []}, "input"),
        ({"previous_response_id": "resp_other"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": [WEATHER | {"name": "a b"}]}, "tools[0].name"),
        ({"tools": [WEATHER, WEATHER]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"include": ["everything"]}, "include[0]"),
        ({"metadata": {"k": "v" * 513}}, "metadata"),
        ({"temperature": 3}, "temperature"),
        ({"temprature": 1}, "temprature"),
    ],
)
def test_a_wrong_field_is_named(call: Caller, fields: dict[str, Any], param: str) -> None:
    answer = ask(call, **fields)

    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["param"] == param
