"""POST /v1/rerank with a chat model: scores against an oracle, over a real engine."""

from __future__ import annotations

import math
from typing import Any

import pytest

from apps.inference.api import likelihood
from apps.inference.tests.conftest import Caller
from apps.inference.tests.real_engine import home, real_engine, real_hub
from apps.inference.usage.models import RequestRecord

__all__ = ["home", "real_engine", "real_hub"]

QUERY = "Who wrote it?"
DOCUMENTS = ["A tax form.", "Ada Lovelace wrote it.", "é日本", "x" * 40]

pytestmark = pytest.mark.usefixtures("real_hub")


def rerank(call: Caller, **fields: Any) -> Any:
    asked = {"model": "roomy", "query": QUERY, "documents": DOCUMENTS}
    return call("POST", "/v1/rerank", asked | fields)


def log_probability(call: Caller, document: str, word: str) -> float:
    """Of ``word`` behind the prompt, by scoring both as one text."""
    text = f"<Instruct>: {likelihood.INSTRUCTION}\n\n<Query>: {QUERY}\n\n<Document>: {document}"
    system = (
        "Judge whether the Document meets the requirements based on the Query and the Instruct "
        'provided. Note that the answer can only be "yes" or "no".'
    )
    said = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    prompt = call("POST", "/v1/tokenize", {"model": "roomy", "messages": said}).json["tokens"]
    asked = {"model": "roomy", "prompt": word, "add_special_tokens": False}
    ending = call("POST", "/v1/tokenize", asked).json["tokens"]
    scored = call(
        "POST",
        "/v1/completions",
        {
            "model": "roomy",
            "prompt": [*prompt, *ending],
            "echo": True,
            "logprobs": 0,
            "max_tokens": 0,
        },
    ).json["choices"][0]["logprobs"]["token_logprobs"]
    return sum(scored[-len(ending) :])


def test_a_score_is_how_likely_the_model_says_yes_rather_than_no(call: Caller) -> None:
    answer = rerank(call)
    assert answer.status == 200
    scores = {each["index"]: each["relevance_score"] for each in answer.json["results"]}
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    for index, document in enumerate(DOCUMENTS):
        yes, no = (log_probability(call, document, word) for word in ("yes", "no"))
        expected = 1 / (1 + math.exp(no - yes))
        assert scores[index] == pytest.approx(expected, rel=1e-2, abs=0)


def test_the_best_come_with_their_texts_where_that_is_asked(call: Caller) -> None:
    whole = rerank(call).json["results"]
    (best,) = rerank(call, top_n=1, return_documents=True).json["results"]
    assert best["index"] == whole[0]["index"]
    assert best["document"] == {"text": DOCUMENTS[best["index"]]}


def test_each_documents_prompt_counts_once(call: Caller) -> None:
    answer = rerank(call, documents=["a", "bcd"])
    alone = [rerank(call, documents=[each]).json["usage"]["prompt_tokens"] for each in ("a", "bcd")]
    assert alone[1] - alone[0] == 2
    assert answer.json["usage"] == {"prompt_tokens": sum(alone), "total_tokens": sum(alone)}
    recorded = RequestRecord.objects.filter(endpoint="POST /v1/rerank").order_by("pk").first()
    assert recorded is not None
    assert recorded.prompt_tokens == sum(alone)


def test_documents_are_cut_to_the_tokens_that_are_asked_for(call: Caller) -> None:
    whole = rerank(call, documents=["abc"], max_tokens_per_doc=100).json["results"]
    cut = rerank(call, documents=["abcdefg"], max_tokens_per_doc=3).json["results"]
    other = rerank(call, documents=["abcdefg"]).json["results"]
    scores = [each[0]["relevance_score"] for each in (whole, cut, other)]
    assert scores[1] == pytest.approx(scores[0], rel=1e-2, abs=0)
    assert scores[2] != pytest.approx(scores[0], rel=1e-2, abs=0)


def test_a_document_that_does_not_fit_is_named(call: Caller) -> None:
    answer = rerank(call, documents=["a", "x" * 5000])
    assert answer.status == 400
    assert answer.error["param"] == "documents"
    assert answer.error["code"] == "context_length_exceeded"
    assert "max_tokens_per_doc" in answer.error["message"]
    assert rerank(call).status == 200


def test_texts_beyond_the_bound_are_refused(call: Caller, settings: Any) -> None:
    settings.HUB = settings.HUB.model_copy(update={"max_prompt_characters": 20})
    answer = rerank(call)
    assert answer.status == 400
    assert answer.error["param"] == "documents"
