"""The official openai client against the running hub."""

from __future__ import annotations

import openai
import pytest

from tests.hub_process import STARTER

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def client(hub):
    with openai.OpenAI(base_url=f"{hub.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_it_streams_a_chat(client):
    stream = client.chat.completions.create(
        model=STARTER,
        messages=QUESTION,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert "Paris" in text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens > 0


def test_a_seed_repeats_the_answer(client):
    texts = {
        client.chat.completions.create(
            model=STARTER, messages=QUESTION, temperature=1.0, seed=5, max_tokens=30
        )
        .choices[0]
        .message.content
        for _ in range(2)
    }
    assert len(texts) == 1


def test_a_stop_string_ends_the_answer(client):
    answer = client.chat.completions.create(
        model=STARTER, messages=QUESTION, temperature=0, stop=["Paris"]
    ).choices[0]
    assert answer.finish_reason == "stop"
    assert "Paris" not in answer.message.content
    assert "capital" in answer.message.content


def test_it_lists_the_models(client):
    assert STARTER in [model.id for model in client.models.list()]
    assert client.models.retrieve(STARTER).id == STARTER


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as failure:
        client.chat.completions.create(model="nobody/nothing", messages=QUESTION)
    assert failure.value.code == "model_not_found"
    assert "nobody/nothing" in failure.value.message


def test_a_prompt_that_is_too_long_is_a_bad_request(client):
    long = [{"role": "user", "content": "word " * 9000}]
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(model=STARTER, messages=long)
    assert failure.value.code == "context_length_exceeded"


def test_a_value_out_of_range_names_its_field(client):
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(model=STARTER, messages=QUESTION, temperature=3)
    assert failure.value.param == "temperature"
