"""POST /v1/embeddings and /v1/rerank."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from apps.inference.engine.protocol import Embed
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.engine_scripts import failure, vectors
from tests.fake_engine import FakeEngine
from tests.registry import make_model


@pytest.fixture
def minilm(db: None) -> LocalModel:
    return make_model("minilm", kind=LocalModel.Kind.EMBEDDING, context_length=256)


def embed(call: Caller, **fields: Any) -> Any:
    return call("POST", "/v1/embeddings", {"model": "minilm", "input": "Hello"} | fields)


def rerank(call: Caller, **fields: Any) -> Any:
    asked = {"model": "minilm", "query": "Who?", "documents": ["a", "b", "c"]}
    return call("POST", "/v1/rerank", asked | fields)


class TestEmbeddings:
    def test_are_numbers_in_the_order_of_the_inputs(
        self, call: Caller, minilm: Any, fake_engine: FakeEngine
    ):
        answer = embed(call, input=["Hello", "Hi", "Hey"])

        assert answer.status == 200
        assert answer.json == {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": [length, 1.0]}
                for index, length in enumerate([5.0, 2.0, 3.0])
            ],
            "model": "minilm",
            "usage": {"prompt_tokens": 9, "total_tokens": 9},
        }

    def test_come_as_base64_where_that_is_asked_for(
        self, call: Caller, minilm: Any, fake_engine: FakeEngine
    ):
        (one,) = embed(call, encoding_format="base64").json["data"]

        assert struct.unpack("<2f", base64.b64decode(one["embedding"])) == (5.0, 1.0)

    @pytest.mark.parametrize(
        ("given", "asked"),
        [
            ("a", ("a",)),
            (["a", "b"], ("a", "b")),
            ([1, 2], ((1, 2),)),
            ([[1, 2], [3]], ((1, 2), (3,))),
        ],
    )
    def test_take_every_shape_of_input(
        self, call: Caller, minilm: Any, fake_engine: FakeEngine, given: Any, asked: Any
    ):
        assert embed(call, input=given).status == 200
        assert fake_engine.wait_for_call(Embed).request.inputs == asked

    def test_are_asked_for_as_the_request_says(
        self, call: Caller, minilm: Any, fake_engine: FakeEngine
    ):
        embed(call, dimensions=2, input_type="query", truncate_prompt_tokens=8, user="me")
        embed(call, truncate_prompt_tokens=-1)

        one, other = fake_engine.requests
        assert (one.dimensions, one.input_kind, one.max_tokens) == (2, "query", 8)
        assert (one.client, one.model.name) == ("api:me", "minilm")
        assert other.max_tokens > 10**6

    @pytest.mark.parametrize(
        ("fields", "param", "why"),
        [
            ({"input": ""}, "input", "text 0 is empty"),
            ({"input": ["a", ""]}, "input", "text 1 is empty"),
            ({"input": []}, "input", "a list of tokens"),
            ({"input": ["a"] * 2049}, "input", "2049 texts; at most 2048"),
            ({"input": [[-1], ["a"]]}, "input", "a list of tokens"),
            ({"encoding_format": "int8"}, "encoding_format", "'float' or 'base64'"),
            ({"dimensions": 0}, "dimensions", "greater than or equal to 1"),
            ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens", "-1, or at least 1"),
            ({"input": ["x" * 3_000_000] * 4}, "input", "characters; at most"),
        ],
    )
    def test_that_cannot_be_made_are_refused_by_name(
        self, call: Caller, minilm: Any, fields: dict[str, Any], param: str, why: str
    ):
        answer = embed(call, **fields)

        assert (answer.status, answer.error["param"]) == (400, param)
        assert why in answer.error["message"]

    def test_of_a_text_too_long_say_which(self, call: Caller, minilm: Any, fake_engine: FakeEngine):
        fake_engine.once(Embed, failure("context_length_exceeded", "input[1] has 300 tokens."))

        answer = embed(call, input=["a", "b"])

        assert answer.status == 400
        assert (answer.error["param"], answer.error["code"]) == ("input", "context_length_exceeded")
        assert "input[1] has 300 tokens" in answer.error["message"]

    def test_of_a_model_that_writes_are_refused(self, call: Caller, tiny: Any):
        answer = embed(call, model="tiny")

        assert (answer.status, answer.error["code"]) == (400, "model_unsuitable")
        assert "tiny generates text and makes no vectors" in answer.error["message"]

    @pytest.mark.parametrize(
        "path", ["/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"]
    )
    def test_are_all_that_their_model_is_for(self, call: Caller, minilm: Any, path: str):
        conversation = [{"role": "user", "content": "Hello"}]
        given = {
            "/v1/chat/completions": {"messages": conversation},
            "/v1/messages": {"messages": conversation, "max_tokens": 5},
            "/v1/responses": {"input": "Hello"},
            "/v1/completions": {"prompt": "Hello"},
        }[path]

        answer = call("POST", path, {"model": "minilm"} | given)

        assert answer.status == 400
        assert "minilm is an embedding model" in answer.error["message"]


class TestRanking:
    def test_has_the_nearest_first(self, call: Caller, minilm: Any, fake_engine: FakeEngine):
        fake_engine.once(Embed, *vectors([2.0, 0.0]))
        fake_engine.once(Embed, *vectors([0.0, 5.0], [3.0, 4.0], [7.0, 0.0]))

        answer = rerank(call)

        assert answer.status == 200
        results = [(one["index"], one["relevance_score"]) for one in answer.json["results"]]
        assert results == [(2, pytest.approx(1)), (1, pytest.approx(0.6)), (0, pytest.approx(0))]
        assert answer.json["usage"] == {"prompt_tokens": 12, "total_tokens": 12}
        query, documents = fake_engine.requests
        assert (query.inputs, query.input_kind) == (("Who?",), "query")
        assert (documents.inputs, documents.input_kind) == (("a", "b", "c"), "document")

    def test_of_the_best_can_have_their_texts(
        self, call: Caller, minilm: Any, fake_engine: FakeEngine
    ):
        documents = ["bbbbbbbb", {"text": "a"}]

        answer = rerank(call, documents=documents, top_n=1, return_documents=True, query="aaaa")

        (best,) = answer.json["results"]
        assert (best["index"], best["document"]) == (0, {"text": "bbbbbbbb"})

    @pytest.mark.parametrize(
        ("fields", "why"),
        [
            ({"documents": []}, "at least 1"),
            ({"documents": ["a", ""]}, "document 1 is empty"),
            ({"query": ""}, "at least 1"),
            ({"top_n": 0}, "greater than or equal to 1"),
            ({"documents": ["a"] * 1001}, "at most 1000"),
        ],
    )
    def test_that_makes_no_sense_is_refused(
        self, call: Caller, minilm: Any, fields: dict[str, Any], why: str
    ):
        answer = rerank(call, **fields)

        assert answer.status == 400
        assert why in answer.error["message"]


def test_a_default_model_is_never_one_that_makes_vectors(minilm: Any, tiny: LocalModel):
    from apps.inference.services import default_model

    assert default_model().model == tiny
