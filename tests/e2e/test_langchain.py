"""langchain-openai against the running hub; test_tools.py has its tools."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from tests.hub_process import STARTER, HubProcess

QUESTION = "What is the capital of France?"


class City(BaseModel):
    """A city that is asked for."""

    name: Literal["Lyon", "Paris", "Nice"]
    in_france: bool


def chat(hub: HubProcess, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=STARTER,
        base_url=f"{hub.url}/v1",
        api_key="unused",
        temperature=0,
        max_retries=0,
        **options,
    )


@pytest.mark.parametrize("responses", [False, True])
def test_it_answers_and_streams(hub: HubProcess, responses: bool) -> None:
    model = chat(hub, use_responses_api=responses, max_tokens=40)

    answer = model.invoke(QUESTION)
    pieces = [chunk.text for chunk in model.stream(QUESTION)]

    assert "Paris" in answer.text
    assert "".join(pieces) == answer.text
    assert sum(map(bool, pieces)) > 1
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] > 1


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_an_answer_is_parsed_into_a_pydantic_model(hub: HubProcess, method: Any) -> None:
    structured = chat(hub, max_tokens=60).with_structured_output(City, method=method)

    assert isinstance(structured.invoke(QUESTION), City)


def test_texts_are_embedded(hub: HubProcess, minilm: str) -> None:
    embedder = OpenAIEmbeddings(
        model=minilm,
        base_url=f"{hub.url}/v1",
        api_key="unused",
        check_embedding_ctx_length=False,  # it would send another model's tokens
    )

    one, other = embedder.embed_documents(["A cat sleeps.", "Shares fell sharply."])

    assert len(one) == 384
    assert embedder.embed_query("A cat sleeps.") == pytest.approx(one, abs=1e-5)
    assert one != other
