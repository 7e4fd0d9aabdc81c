"""The official client against a serving hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from apps.inference.engine.protocol import (
    Generate,
    Reasoning,
    Tokenize,
    Tokens,
    ToolCallArguments,
    ToolCallStart,
)
from apps.inference.keys.secret import PREFIX
from apps.inference.tests.conftest import Hub
from apps.models.models import LocalModel
from tests.engine_scripts import Gate, HangUp, failure, reply
from tests.fake_engine import FakeEngine

QUESTION: Any = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALLED = (
    ToolCallStart(index=0, id="call_1", name="get_weather"),
    ToolCallArguments(index=0, text='{"city": '),
    ToolCallArguments(index=0, text='"Paris"}'),
)
ASKED: Any = {"model": "tiny", "max_tokens": 20, "messages": QUESTION}


@pytest.fixture
def client(hub: Hub, tiny: LocalModel) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=hub.url, api_key="unused", max_retries=0) as client:
        yield client


def test_it_gets_an_answer(client: anthropic.Anthropic, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", "is.", prompt_tokens=20, cached_tokens=8))

    message = client.messages.create(**ASKED, system="Be brief.")

    assert [block.text for block in message.content] == ["Paris."]
    assert message.stop_reason == "end_turn"
    assert message.stop_sequence is None
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (12, 8, 2)


def test_it_streams_each_piece_as_it_is_made(
    client: anthropic.Anthropic, fake_engine: FakeEngine
) -> None:
    gate = Gate()
    fake_engine.once(Generate, *reply("Par", gate, "is."))

    pieces = []
    with client.messages.stream(**ASKED) as stream:
        for text in stream.text_stream:
            pieces.append(text)
            gate.open()  # the first piece is here before the second is made
        message = stream.get_final_message()

    assert pieces == ["Par", "is."]
    assert message.content[0].text == "Paris."
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 12
    assert message.usage.output_tokens == 2


def test_a_tool_is_used_and_its_result_answered(
    client: anthropic.Anthropic, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply(Reasoning(text="Look."), *CALLED, finish_reason="tool_calls"))

    first = client.messages.create(**ASKED, tools=[WEATHER])
    thought, use = first.content
    assert thought.type == "thinking"
    assert use.type == "tool_use"
    assert (use.name, use.input) == ("get_weather", {"city": "Paris"})
    result: Any = {"type": "tool_result", "tool_use_id": use.id, "content": "Sunny"}
    messages = [*QUESTION, first.to_param(), {"role": "user", "content": [result]}]
    second = client.messages.create(**ASKED | {"messages": messages}, tools=[WEATHER])

    assert second.stop_reason == "end_turn"
    _, called, returned = fake_engine.wait_for_call(Generate, 2).request.messages
    assert called.reasoning == "Look."
    assert [each.id for each in called.tool_calls] == ["call_1"]
    assert (returned.role, returned.tool_call_id) == ("tool", "call_1")


def test_its_stream_helper_assembles_a_tools_input(
    client: anthropic.Anthropic, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply("One moment.", *CALLED, finish_reason="tool_calls"))

    with client.messages.stream(**ASKED, tools=[WEATHER]) as stream:
        message = stream.get_final_message()

    said, use = message.content
    assert said.text == "One moment."
    assert use.input == {"city": "Paris"}
    assert message.stop_reason == "tool_use"


def test_it_counts_tokens(client: anthropic.Anthropic, fake_engine: FakeEngine) -> None:
    fake_engine.once(Tokenize, Tokens(tokens=(1, 2, 3), strings=("a", "b", "c")))

    assert client.messages.count_tokens(model="tiny", messages=QUESTION).input_tokens == 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("context_length_exceeded", anthropic.BadRequestError),
        ("queue_full", anthropic.RateLimitError),
        ("insufficient_memory", anthropic.OverloadedError),
        ("internal_error", anthropic.InternalServerError),
    ],
)
def test_the_engines_errors_are_typed(
    client: anthropic.Anthropic,
    fake_engine: FakeEngine,
    code: Any,
    error: type[anthropic.APIStatusError],
    stream: bool,
) -> None:
    fake_engine.once(Generate, failure(code, "What to do."))

    with pytest.raises(error, match=r"What to do\."):
        client.messages.create(**ASKED, stream=stream)


def test_an_unknown_model_is_not_found(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="mlx-hub pull other") as raised:
        client.messages.create(**ASKED | {"model": "other"})

    body: Any = raised.value.body
    assert raised.value.request_id == body["request_id"] != ""


def test_an_answer_tells_its_request(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**ASKED, extra_headers={"X-Request-ID": "trace-8"})
    assert message._request_id == "trace-8"


def test_a_key_that_is_not_good_is_an_authentication_error(hub: Hub, tiny: LocalModel) -> None:
    key = f"{PREFIX}{'0' * 8}_{'0' * 43}"
    with (
        anthropic.Anthropic(base_url=hub.url, api_key=key, max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError) as raised,
    ):
        client.messages.create(**ASKED)

    assert raised.value.type == "authentication_error"


def test_an_error_in_mid_stream_is_raised(
    client: anthropic.Anthropic, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply("Par", HangUp()))
    stream = client.messages.create(**ASKED, stream=True)

    with pytest.raises(anthropic.APIError, match="The engine stopped") as raised:
        list(stream)

    body: Any = raised.value.body
    assert body["request_id"] == stream.response.headers["request-id"]


def test_it_waits_and_tries_again_where_it_is_told_to(
    hub: Hub, tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, failure("queue_full", retry_after=0.01))

    with anthropic.Anthropic(base_url=hub.url, api_key="unused", max_retries=1) as client:
        message = client.messages.create(**ASKED)

    assert message.content[0].text == "Hello world"


def test_a_timeout_ends_the_work(client: anthropic.Anthropic, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", Gate()))

    with pytest.raises(anthropic.APITimeoutError):
        client.messages.create(**ASKED, timeout=1.0)

    fake_engine.wait_for_call(Generate).wait_closed_early()
