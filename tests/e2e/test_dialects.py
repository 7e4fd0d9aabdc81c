"""The official anthropic client, and the openai client's responses, against the running hub."""

from __future__ import annotations

import json
import os
from typing import Literal

import anthropic
import openai
import pytest
from pydantic import BaseModel

from tests.hub_process import STARTER

QUESTION = "What is the capital of France?"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}
ASKED = {"model": STARTER, "max_tokens": 40, "messages": [{"role": "user", "content": QUESTION}]}
GREEDY = {"temperature": 0}
"""Anthropic's newest models take no temperature, and so their client has no name for it."""
TOOL = {"name": "get_weather", "description": "The weather in a city.", "input_schema": SCHEMA}
FUNCTION = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": SCHEMA,
    "strict": True,
}


@pytest.fixture
def messages_client(hub):
    with anthropic.Anthropic(base_url=hub.url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def client(hub):
    with openai.OpenAI(base_url=f"{hub.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


# --- messages -------------------------------------------------------------------


def test_a_message_is_answered(messages_client):
    message = messages_client.messages.create(**ASKED, extra_body=GREEDY)
    assert "Paris" in message.content[0].text
    assert message.stop_reason == "end_turn"


def test_a_message_streams(messages_client):
    with messages_client.messages.stream(**ASKED, extra_body=GREEDY) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert len(pieces) > 1
    assert "".join(pieces) == message.content[0].text
    assert "Paris" in message.content[0].text
    assert message.usage.output_tokens > 1


def test_a_stop_sequence_ends_a_message_and_is_named(messages_client):
    message = messages_client.messages.create(
        **ASKED, extra_body=GREEDY, stop_sequences=["xyz", "Paris"]
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "Paris")
    assert "Paris" not in message.content[0].text


def test_max_tokens_cut_a_message(messages_client):
    message = messages_client.messages.create(**ASKED | {"max_tokens": 2}, extra_body=GREEDY)
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 2


def test_a_forced_tool_is_used_and_its_result_answered(messages_client):
    messages = [{"role": "user", "content": "How is the weather in Paris?"}]
    asked = {"model": STARTER, "max_tokens": 60, "tools": [TOOL], "extra_body": GREEDY}
    choice = {"type": "tool", "name": "get_weather"}
    first = messages_client.messages.create(**asked, messages=messages, tool_choice=choice)
    assert first.stop_reason == "tool_use"
    use = first.content[-1]
    assert use.name == "get_weather"
    assert isinstance(use.input["city"], str)

    result = {"type": "tool_result", "tool_use_id": use.id, "content": "Sunny, 24 degrees"}
    messages += [first.to_param(), {"role": "user", "content": [result]}]
    second = messages_client.messages.create(
        **asked, messages=messages, tool_choice={"type": "none"}
    )
    assert second.stop_reason in ("end_turn", "max_tokens")
    assert second.content[0].text


def test_a_forced_tools_input_streams_as_json(messages_client):
    pieces = []
    with messages_client.messages.stream(
        **ASKED | {"max_tokens": 60}, tools=[TOOL], tool_choice={"type": "any"}
    ) as stream:
        for event in stream:
            if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
                pieces.append(event.delta.partial_json)
        message = stream.get_final_message()
    assert message.content[-1].input == json.loads("".join(pieces))


def test_a_message_keeps_to_its_format(messages_client):
    message = messages_client.messages.create(
        **ASKED | {"max_tokens": 60},
        output_config={"format": {"type": "json_schema", "schema": SCHEMA}},
    )
    assert set(json.loads(message.content[0].text)) == {"city"}


class City(BaseModel):
    city: Literal["Lyon", "Paris", "Nice"]


def test_a_message_is_parsed_into_a_pydantic_model(messages_client):
    message = messages_client.messages.parse(**ASKED, extra_body=GREEDY, output_format=City)
    assert isinstance(message.parsed_output, City)


def test_a_prompts_tokens_are_counted_as_they_are_used(messages_client):
    prompt = {name: ASKED[name] for name in ("model", "messages")} | {"tools": [TOOL]}
    counted = messages_client.messages.count_tokens(**prompt, system="Be brief.")
    usage = messages_client.messages.create(**prompt, system="Be brief.", max_tokens=1).usage
    used = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
    assert counted.input_tokens == used


def test_a_marked_prompt_is_written_once_and_read_again(messages_client):
    nonce = os.urandom(4).hex()
    document = {"type": "text", "text": f"{nonce}: " + "The river is long and slow. " * 20}
    marked = document | {"cache_control": {"type": "ephemeral"}}

    def usage(question):
        content = [marked, {"type": "text", "text": question}]
        asked = ASKED | {"max_tokens": 1, "messages": [{"role": "user", "content": content}]}
        return messages_client.messages.create(**asked).usage

    first, second = usage(" Is it long?"), usage(" Where is it?")
    assert first.cache_creation_input_tokens > 100
    assert second.cache_creation_input_tokens <= 1
    read = first.cache_creation_input_tokens + first.cache_read_input_tokens
    assert second.cache_read_input_tokens == pytest.approx(read, abs=1)


def test_an_unknown_model_is_not_found_for_anthropics_client(messages_client):
    with pytest.raises(anthropic.NotFoundError, match="nobody/nothing"):
        messages_client.messages.create(**ASKED | {"model": "nobody/nothing"})


def test_a_prompt_that_is_too_long_is_a_bad_request_for_anthropics_client(messages_client):
    with pytest.raises(anthropic.BadRequestError, match="tokens"):
        messages_client.messages.create(
            **ASKED | {"messages": [{"role": "user", "content": "word " * 9000}]}
        )


# --- responses ------------------------------------------------------------------


def test_a_response_is_answered_kept_and_gone_on_from(client):
    first = client.responses.create(
        model=STARTER, input=QUESTION, temperature=0, max_output_tokens=40
    )
    assert "Paris" in first.output_text
    assert client.responses.retrieve(first.id).output_text == first.output_text

    second = client.responses.create(
        model=STARTER,
        input="And of Italy?",
        previous_response_id=first.id,
        temperature=0,
        max_output_tokens=40,
    )
    assert second.output_text
    assert second.usage.input_tokens > first.usage.input_tokens
    assert second.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens - 1
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


def test_a_response_streams(client):
    with client.responses.stream(
        model=STARTER, input=QUESTION, temperature=0, max_output_tokens=40
    ) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        response = stream.get_final_response()
    assert len(pieces) > 1
    assert "".join(pieces) == response.output_text


def test_a_response_is_parsed_into_a_pydantic_model(client):
    response = client.responses.parse(
        model=STARTER, input=QUESTION, text_format=City, max_output_tokens=60, temperature=0
    )
    assert isinstance(response.output_parsed, City)


def test_a_forced_function_is_called_and_its_output_answered(client):
    question = {"role": "user", "content": "How is the weather in Paris?"}
    first = client.responses.create(
        model=STARTER,
        input=[question],
        tools=[FUNCTION],
        tool_choice={"type": "function", "name": "get_weather"},
        max_output_tokens=60,
        temperature=0,
    )
    call = first.output[-1]
    assert call.type == "function_call"
    assert set(json.loads(call.arguments)) == {"city"}

    output = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny"}
    second = client.responses.create(
        model=STARTER,
        input=[output],
        previous_response_id=first.id,
        tools=[FUNCTION],
        tool_choice="none",
        max_output_tokens=30,
        temperature=0,
    )
    assert second.output_text


def test_a_response_that_is_cut_says_so(client):
    response = client.responses.create(
        model=STARTER, input=QUESTION, max_output_tokens=2, temperature=0
    )
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
