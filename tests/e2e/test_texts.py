"""Completions, tokens and embeddings over the running hub, with real weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from tests.hub_process import PATIENCE, STARTER, HubProcess


@pytest.fixture
def client(hub: HubProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{hub.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def post(hub: HubProcess, route: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{hub.url}/v1/{route}", json=body, timeout=PATIENCE)
    told: dict[str, Any] = answer.raise_for_status().json()
    return told


def test_a_text_goes_on(client: openai.OpenAI) -> None:
    completion = client.completions.create(
        model=STARTER, prompt="The capital of France is", max_tokens=6, temperature=0
    )

    assert "Paris" in completion.choices[0].text
    assert completion.usage is not None
    assert completion.usage.completion_tokens <= 6


def test_a_streamed_text_is_the_same(client: openai.OpenAI) -> None:
    asked = {"model": STARTER, "prompt": "One, two, three,", "max_tokens": 8, "temperature": 0}
    whole = client.completions.create(**asked)

    stream = client.completions.create(**asked, stream=True)

    assert "".join(chunk.choices[0].text for chunk in stream) == whole.choices[0].text


def test_a_prompt_is_scored(client: openai.OpenAI) -> None:
    asked = {"model": STARTER, "max_tokens": 0, "echo": True, "logprobs": 1}
    prompts = ["The capital of France is Paris.", "The capital of France is Banana."]

    choices = client.completions.create(prompt=prompts, **asked).choices

    likely, unlikely = (
        sum(value or 0 for value in choice.logprobs.token_logprobs) for choice in choices
    )
    assert [choice.text for choice in choices] == prompts
    assert likely > unlikely + 2


def test_tokens_go_there_and_back(hub: HubProcess) -> None:
    asked = {"model": STARTER, "prompt": "Grüße, 世界 🌍"}

    told = post(hub, "tokenize", asked | {"return_token_strs": True})
    back = post(hub, "detokenize", {"model": STARTER, "tokens": told["tokens"]})

    assert back == {"prompt": "Grüße, 世界 🌍"}
    assert told["count"] == len(told["tokens"]) == len(told["token_strs"])
    assert told["max_model_len"] == 8192


def test_vectors_of_like_meanings_are_alike(client: openai.OpenAI, minilm: str) -> None:
    texts = ["A cat sleeps on the sofa.", "A kitten naps on the couch.", "Shares fell sharply."]

    answer = client.embeddings.create(model=minilm, input=texts)  # asks for base64 by itself

    cat, kitten, shares = (np.array(each.embedding) for each in answer.data)
    assert len(cat) == 384
    assert cat @ kitten > 0.6 > 0.3 > cat @ shares
    as_numbers = client.embeddings.create(model=minilm, input=texts[0], encoding_format="float")
    assert as_numbers.data[0].embedding == pytest.approx(cat, abs=1e-5)
    assert answer.usage.prompt_tokens > 15


def test_shorter_vectors_have_length_one(client: openai.OpenAI, minilm: str) -> None:
    (one,) = client.embeddings.create(model=minilm, input="Hello", dimensions=64).data

    assert len(one.embedding) == 64
    assert np.linalg.norm(one.embedding) == pytest.approx(1, abs=1e-4)


def test_a_text_too_long_is_refused_or_cut(client: openai.OpenAI, minilm: str) -> None:
    with pytest.raises(openai.BadRequestError, match=r"input\[0\] has 402 tokens.*at most 256"):
        client.embeddings.create(model=minilm, input="word " * 400)

    cut = {"truncate_prompt_tokens": -1}
    assert client.embeddings.create(model=minilm, input="word " * 400, extra_body=cut).data


def test_documents_are_ranked_by_what_they_mean(hub: HubProcess, minilm: str) -> None:
    asked = {
        "model": minilm,
        "query": "How do I reset my password?",
        "documents": [
            "Our office is closed on Sundays.",
            "Forgotten credentials can be renewed on the login page.",
            "The recipe needs two eggs.",
        ],
        "top_n": 1,
    }

    answer = post(hub, "rerank", asked)

    assert [one["index"] for one in answer["results"]] == [1]


def test_each_kind_of_model_refuses_what_it_is_not_for(client: openai.OpenAI, minilm: str) -> None:
    with pytest.raises(openai.BadRequestError, match="minilm is an embedding model"):
        client.chat.completions.create(
            model=minilm, messages=[{"role": "user", "content": "Hello"}]
        )
    with pytest.raises(openai.BadRequestError, match="makes no vectors"):
        client.embeddings.create(model=STARTER, input="Hello")


def test_models_say_what_they_are_for(hub: HubProcess, minilm: str) -> None:
    listed = httpx.get(f"{hub.url}/v1/models", timeout=PATIENCE).json()["data"]
    models = {one["id"]: one for one in listed}

    assert models[minilm]["capabilities"] == ["embeddings", "rerank"]
    assert models[STARTER]["capabilities"][:2] == ["chat", "completions"]
