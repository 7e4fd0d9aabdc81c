"""Tool calling with the starter model, whose chat template knows no tools, by official clients."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import langchain_openai
import openai
import pytest

from tests.hub_process import STARTER

QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The present weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 40},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {"name": "get_time", "description": "The time of day", "parameters": None},
}

AT_ONCE = 10
"""Calls, each with a grammar of its own in the same batch."""


@pytest.fixture
def client(hub):
    with openai.OpenAI(base_url=f"{hub.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def forced(client, **fields):
    return client.chat.completions.create(
        model=STARTER, messages=QUESTION, tools=[WEATHER, CLOCK], tool_choice="required", **fields
    )


def test_a_forced_call_always_parses(client):
    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = threads.map(lambda seed: forced(client, temperature=1.0, seed=seed), range(20))
        choices = [answer.choices[0] for answer in answers]
    for choice in choices:
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        (call,) = choice.message.tool_calls
        arguments = json.loads(call.function.arguments)
        if call.function.name == "get_weather":
            assert set(arguments) == {"city", "unit"}
            assert arguments["unit"] in ("celsius", "fahrenheit")
        else:
            assert (call.function.name, arguments) == ("get_time", {})


def test_a_call_its_result_and_the_answer(client):
    named = {"type": "function", "function": {"name": "get_weather"}}
    first = client.chat.completions.create(
        model=STARTER, messages=QUESTION, tools=[WEATHER], tool_choice=named, temperature=0
    )
    message = first.choices[0].message
    (call,) = message.tool_calls
    assert "Paris" in json.loads(call.function.arguments)["city"]

    result = {"role": "tool", "tool_call_id": call.id, "content": "It is raining, 14 degrees."}
    second = client.chat.completions.create(
        model=STARTER,
        messages=[*QUESTION, message, result],
        tools=[WEATHER],
        tool_choice="none",
        temperature=0,
        max_tokens=40,
    )
    assert second.choices[0].message.tool_calls is None
    assert second.choices[0].message.content


def test_a_call_is_streamed_piece_by_piece(client):
    chunks = list(forced(client, temperature=0, stream=True))
    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    first, *rest = deltas
    assert (first.index, first.type, first.function.arguments) == (0, "function", "")
    assert first.id
    assert first.function.name in ("get_weather", "get_time")
    assert all(call.id is None for call in rest)
    json.loads("".join(call.function.arguments for call in rest))
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_the_stream_helper_assembles_a_call(client):
    with client.chat.completions.stream(
        model=STARTER, messages=QUESTION, tools=[WEATHER], tool_choice="required", temperature=0
    ) as stream:
        completion = stream.get_final_completion()
    (call,) = completion.choices[0].message.tool_calls
    assert call.function.name == "get_weather"


def test_tools_that_may_be_called_need_not_be(client):
    answer = client.chat.completions.create(
        model=STARTER,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        tools=[CLOCK],
        temperature=0,
        max_tokens=40,
    )
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls")


def test_langchain_binds_tools(hub):
    model = langchain_openai.ChatOpenAI(
        model=STARTER, base_url=f"{hub.url}/v1", api_key="unused", temperature=0, max_retries=0
    )

    def get_weather(city: str) -> str:
        """The present weather of a city."""
        return f"Rain in {city}"

    bound = model.bind_tools([get_weather], tool_choice="get_weather")
    (call,) = bound.invoke("What is the weather in Paris?").tool_calls
    assert call["name"] == "get_weather"
    assert isinstance(call["args"]["city"], str)
