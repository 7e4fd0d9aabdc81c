"""The official openai client against the running hub."""

from __future__ import annotations

import math
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

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


def test_log_probabilities_are_of_the_tokens_of_the_text(client):
    choice = client.chat.completions.create(
        model=STARTER, messages=QUESTION, temperature=0, max_tokens=6, logprobs=True, top_logprobs=3
    ).choices[0]
    tokens = choice.logprobs.content
    assert b"".join(bytes(token.bytes) for token in tokens).decode() == choice.message.content
    for token in tokens:  # greedy: the likeliest was chosen
        likeliest = max(token.top_logprobs, key=lambda top: top.logprob)
        assert (likeliest.token, len(token.top_logprobs)) == (token.token, 3)
        assert sum(math.exp(top.logprob) for top in token.top_logprobs) <= 1.0 + 1e-4


def test_a_stream_tells_the_same_log_probabilities(client):
    asked = {"temperature": 0, "max_tokens": 6, "logprobs": True}
    whole = client.chat.completions.create(model=STARTER, messages=QUESTION, **asked)
    stream = client.chat.completions.create(model=STARTER, messages=QUESTION, stream=True, **asked)
    told = [chunk.choices[0].logprobs for chunk in stream]
    tokens = [token for logprobs in told if logprobs for token in logprobs.content]
    expected = whole.choices[0].logprobs.content
    assert [token.token for token in tokens] == [token.token for token in expected]
    for token, other in zip(tokens, expected, strict=True):
        assert token.logprob == pytest.approx(other.logprob, abs=1e-3)


def test_a_biased_token_does_not_come(client):
    asked = {"model": STARTER, "messages": QUESTION, "temperature": 0, "max_tokens": 1}
    free = client.chat.completions.create(**asked).choices[0].message.content
    assert free == "The"
    biased = client.chat.completions.create(**asked, logit_bias={"504": -100}).choices[0]
    assert biased.message.content != free


class City(BaseModel):
    name: Literal["Lyon", "Paris", "Nice"]
    in_france: bool


def test_a_pydantic_model_comes_back_filled_in(client):
    completion = client.chat.completions.parse(
        model=STARTER, messages=QUESTION, temperature=0, max_tokens=60, response_format=City
    )
    assert isinstance(completion.choices[0].message.parsed, City)


@pytest.mark.parametrize(
    ("outputs", "answers"),
    [
        ({"choice": ["Lyon", 'the "Paris"\n']}, {"Lyon", 'the "Paris"\n'}),
        ({"regex": "(Paris|Nice)!"}, {"Paris!", "Nice!"}),
        ({"grammar": 'start: "It is " ("Paris" | "Nice") "."'}, {"It is Paris.", "It is Nice."}),
        ({"json": {"enum": ["Lyon", "Nice"]}}, {'"Lyon"', '"Nice"'}),
    ],
)
def test_an_answer_keeps_to_its_structure(client, outputs, answers):
    choice = client.chat.completions.create(
        model=STARTER, messages=QUESTION, max_tokens=30, extra_body={"structured_outputs": outputs}
    ).choices[0]
    assert choice.message.content in answers
    assert choice.finish_reason == "stop"


def test_a_schema_that_makes_no_sense_is_a_bad_request(client):
    schema = {"name": "odd", "schema": {"type": "strange"}}
    with pytest.raises(openai.BadRequestError, match="strange"):
        client.chat.completions.create(
            model=STARTER,
            messages=QUESTION,
            response_format={"type": "json_schema", "json_schema": schema},
        )


def test_several_answers_differ_and_repeat_with_their_seed(client):
    def texts():
        choices = client.chat.completions.create(
            model=STARTER, messages=QUESTION, temperature=1.5, seed=3, n=3, max_tokens=8
        ).choices
        return [choice.message.content for choice in choices]

    first = texts()
    assert len(set(first)) > 1
    assert texts() == first


def test_a_deadline_that_passes_is_a_gateway_timeout(client):
    with pytest.raises(openai.InternalServerError) as failure:
        client.chat.completions.create(
            model=STARTER,
            messages=[{"role": "user", "content": "Tell me a very long story."}],
            extra_body={"deadline_seconds": 0.2},
        )
    assert failure.value.status_code == 504
    assert failure.value.code == "deadline_exceeded"
