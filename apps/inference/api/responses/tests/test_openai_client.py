"""The official client against a serving hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from apps.inference.engine.protocol import (
    Generate,
    Reasoning,
    ToolCallArguments,
    ToolCallStart,
)
from apps.inference.tests.conftest import Hub
from apps.models.models import LocalModel
from tests.engine_scripts import Gate, HangUp, failure, reply
from tests.fake_engine import FakeEngine

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
CALLED = (
    ToolCallStart(index=0, id="call_1", name="get_weather"),
    ToolCallArguments(index=0, text='{"city": '),
    ToolCallArguments(index=0, text='"Paris"}'),
)


@pytest.fixture
def client(hub: Hub, tiny: LocalModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{hub.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_it_gets_an_answer(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", "is.", prompt_tokens=20, cached_tokens=8))

    response = client.responses.create(
        model="tiny", instructions="Be brief.", input="What is the capital of France?"
    )

    assert response.output_text == "Paris."
    assert response.status == "completed"
    assert response.usage is not None
    assert (response.usage.input_tokens, response.usage.output_tokens) == (20, 2)
    assert response.usage.input_tokens_details.cached_tokens == 8
    asked = fake_engine.wait_for_call(Generate).request.messages
    assert [(each.role, each.content) for each in asked] == [
        ("system", "Be brief."),
        ("user", "What is the capital of France?"),
    ]


def test_it_streams_each_piece_as_it_is_made(
    client: openai.OpenAI, fake_engine: FakeEngine
) -> None:
    gate = Gate()
    fake_engine.once(Generate, *reply("Par", gate, "is."))

    pieces = []
    with client.responses.stream(model="tiny", input="Where?") as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
                gate.open()  # the first piece is here before the second is made
        response = stream.get_final_response()

    assert pieces == ["Par", "is."]
    assert response.output_text == "Paris."


def test_it_goes_on_from_a_response(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Paris."))
    first = client.responses.create(model="tiny", instructions="Be brief.", input="Where?")

    second = client.responses.create(
        model="tiny", previous_response_id=first.id, input="And in Italy?"
    )

    assert second.previous_response_id == first.id
    asked = fake_engine.wait_for_call(Generate, 2).request.messages
    assert [(each.role, each.content) for each in asked] == [
        ("user", "Where?"),
        ("assistant", "Paris."),
        ("user", "And in Italy?"),
    ]


def test_a_function_is_called_and_its_output_answered(
    client: openai.OpenAI, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply(*CALLED, finish_reason="tool_calls"))
    question: list[Any] = [{"role": "user", "content": "Weather in Paris?"}]

    first = client.responses.create(model="tiny", input=question, tools=[WEATHER], store=False)
    (call,) = first.output
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("get_weather", '{"city": "Paris"}')
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny"}
    client.responses.create(model="tiny", input=[*question, *first.output, output], tools=[WEATHER])

    asked = fake_engine.wait_for_call(Generate, 2).request
    assert [each.role for each in asked.messages] == ["user", "assistant", "tool"]
    (made,) = asked.messages[1].tool_calls
    assert (made.id, made.name, made.arguments) == ("call_1", "get_weather", '{"city": "Paris"}')
    assert asked.messages[2].content == "Sunny"
    assert asked.messages[2].tool_call_id == "call_1"
    assert asked.messages[2].name == "get_weather"


def test_its_stream_helper_assembles_a_call_and_the_reasoning(
    client: openai.OpenAI, fake_engine: FakeEngine
) -> None:
    thought = (Reasoning(text="Look "), Reasoning(text="outside."))
    fake_engine.once(Generate, *reply(*thought, *CALLED, finish_reason="tool_calls"))

    with client.responses.stream(model="tiny", input="Weather?", tools=[WEATHER]) as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()

    reasoning, call = response.output
    assert reasoning.type == "reasoning"
    assert reasoning.content is not None
    assert reasoning.content[0].text == "Look outside."
    assert call.type == "function_call"
    assert call.parsed_arguments == {"city": "Paris"}
    assert kinds.count("response.function_call_arguments.delta") == 2


class City(BaseModel):
    name: str


def test_a_pydantic_model_comes_back_filled_in(
    client: openai.OpenAI, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply('{"name": "Paris"}'))

    response = client.responses.parse(model="tiny", input="Where?", text_format=City)

    assert response.output_parsed == City(name="Paris")
    grammar = fake_engine.wait_for_call(Generate).request.sampling.grammar
    assert grammar is not None
    assert '"name"' in grammar.text


def test_a_kept_response_is_retrieved_listed_and_deleted(client: openai.OpenAI) -> None:
    made = client.responses.create(model="tiny", input="Hi", metadata={"topic": "greeting"})

    found = client.responses.retrieve(made.id)
    items = client.responses.input_items.list(made.id)
    assert found.output_text == "Hello world"
    assert found.metadata == {"topic": "greeting"}
    assert [item.content[0].text for item in items] == ["Hi"]
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("context_length_exceeded", openai.BadRequestError),
        ("queue_full", openai.RateLimitError),
        ("insufficient_memory", openai.InternalServerError),
    ],
)
def test_the_engines_errors_are_typed(
    client: openai.OpenAI,
    fake_engine: FakeEngine,
    code: Any,
    error: type[openai.APIStatusError],
    stream: bool,
) -> None:
    fake_engine.once(Generate, failure(code, "What to do."))

    with pytest.raises(error, match=r"What to do\.") as raised:
        client.responses.create(model="tiny", input="Hi", stream=stream)

    assert raised.value.code == code


def test_an_answer_that_breaks_off_is_a_failed_response(
    client: openai.OpenAI, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply("Par", HangUp()))

    *_, last = client.responses.create(model="tiny", input="Hi", stream=True)

    assert last.type == "response.failed"
    assert last.response.error is not None
    assert "The engine stopped" in last.response.error.message
    assert last.response.output_text == "Par"


def test_a_failure_before_the_response_began_is_an_error_event(
    client: openai.OpenAI, fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.inference.api.telling.KEEP_ALIVE", 0.01)
    gate = Gate()
    fake_engine.once(Generate, gate, failure("queue_full", "Too many wait."))

    stream = client.responses.create(model="tiny", input="Hi", stream=True)
    gate.open()  # the stream has begun, or there would be no stream
    (event,) = stream

    assert event.type == "error"
    assert (event.code, event.message) == ("queue_full", "Too many wait.")


def test_a_timeout_ends_the_work(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", Gate()))

    with pytest.raises(openai.APITimeoutError):
        client.responses.create(model="tiny", input="Hi", timeout=1.0)

    fake_engine.wait_for_call(Generate).wait_closed_early()
