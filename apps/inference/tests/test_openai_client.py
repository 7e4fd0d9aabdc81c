"""The official client against a serving hub."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from apps.inference.engine.protocol import Generate
from apps.inference.tests.conftest import Hub
from apps.models.models import LocalModel
from tests.engine_scripts import Gate, Hang, HangUp, failure, reply
from tests.fake_engine import FakeEngine

QUESTION: Any = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the capital of France?"},
]


@pytest.fixture
def client(hub: Hub, tiny: LocalModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{hub.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_it_gets_an_answer(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", "is.", prompt_tokens=20, cached_tokens=8))

    completion = client.chat.completions.create(model="tiny", messages=QUESTION)

    assert completion.choices[0].message.content == "Paris."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 8


def test_it_streams_each_piece_as_it_is_made(
    client: openai.OpenAI, fake_engine: FakeEngine
) -> None:
    gate = Gate()
    fake_engine.once(Generate, *reply("Par", gate, "is."))

    stream = client.chat.completions.create(
        model="tiny", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )

    pieces = []
    for chunk in stream:
        text = chunk.choices[0].delta.content if chunk.choices else None
        if text:
            pieces.append(text)
            gate.open()  # the first piece is here before the second is made
    assert pieces == ["Par", "is."]
    assert chunk.usage is not None
    assert chunk.usage.total_tokens == 14


def test_its_stream_helper_assembles_the_answer(
    client: openai.OpenAI, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, *reply("Par", "is."))

    with client.chat.completions.stream(model="tiny", messages=QUESTION) as stream:
        completion = stream.get_final_completion()

    assert completion.choices[0].message.content == "Paris."


def test_an_answer_goes_back_in_as_it_came(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    first = client.chat.completions.create(model="tiny", messages=QUESTION)
    messages = [*QUESTION, first.choices[0].message.model_dump(), QUESTION[1]]

    client.chat.completions.create(model="tiny", messages=messages)

    assert fake_engine.wait_for_call(Generate, 2).request.messages[2].content == "Hello world"


def test_it_lists_and_finds_models(client: openai.OpenAI, qwen: LocalModel) -> None:
    assert [model.id for model in client.models.list()] == ["qwen", "tiny"]
    assert client.models.retrieve("acme/Qwen-Test").id == "qwen"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("context_length_exceeded", openai.BadRequestError),
        ("queue_full", openai.RateLimitError),
        ("insufficient_memory", openai.InternalServerError),
        ("internal_error", openai.InternalServerError),
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
        client.chat.completions.create(model="tiny", messages=QUESTION, stream=stream)

    assert raised.value.code == code


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="mlx-hub pull other") as raised:
        client.chat.completions.create(model="other", messages=QUESTION)

    assert raised.value.code == "model_not_found"
    assert raised.value.param == "model"
    body: Any = raised.value.body
    assert raised.value.request_id == body["request_id"] != ""


def test_a_value_out_of_range_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="tiny", messages=QUESTION, temperature=3)

    assert raised.value.param == "temperature"


def test_an_error_in_mid_stream_is_raised(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", HangUp()))
    stream = client.chat.completions.create(model="tiny", messages=QUESTION, stream=True)

    with pytest.raises(openai.APIError, match="The engine stopped") as raised:
        list(stream)

    body: Any = raised.value.body
    assert body["request_id"] == stream.response.headers["x-request-id"]


def test_a_timeout_ends_the_work(client: openai.OpenAI, fake_engine: FakeEngine) -> None:
    fake_engine.once(Generate, *reply("Par", Hang()))

    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="tiny", messages=QUESTION, timeout=1.0)

    fake_engine.wait_for_call(Generate).wait_closed_early()


def test_it_waits_and_tries_again_where_it_is_told_to(
    hub: Hub, tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, failure("queue_full", retry_after=0.01))

    with openai.OpenAI(base_url=f"{hub.url}/v1", api_key="unused", max_retries=1) as client:
        completion = client.chat.completions.create(model="tiny", messages=QUESTION)

    assert completion.choices[0].message.content == "Hello world"
