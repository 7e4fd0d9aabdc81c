"""GET /v1/models and /v1/models/{id}; what /v1 answers elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.engine.protocol import LoadModel, ModelReady
from apps.inference.services import engine, spec_for
from apps.inference.tests.conftest import Caller
from apps.models.models import Adapter, LocalModel
from tests.fake_engine import FakeEngine
from tests.registry import make_model


def test_every_model_is_listed_once(call: Caller, qwen: LocalModel) -> None:
    answer = call("GET", "/v1/models")

    assert answer.status == 200
    assert answer.json["object"] == "list"
    assert [model["id"] for model in answer.json["data"]] == ["qwen", "tiny"]
    assert answer.json["data"][0] == {
        "id": "qwen",
        "object": "model",
        "created": int(qwen.created_at.timestamp()),
        "owned_by": "acme",
        "context_length": 2048,
        "capabilities": ["chat", "completions", "rerank"],
        "loaded": None,
        "alias": None,
        "parent": None,
    }


@pytest.mark.parametrize(
    ("fields", "capabilities"),
    [
        ({}, ["chat", "completions", "rerank"]),
        ({"knows_tools": True}, ["chat", "completions", "tools", "rerank"]),
        ({"kind": "completion"}, ["completions"]),
        ({"kind": "embedding"}, ["embeddings", "rerank"]),
    ],
)
def test_a_model_says_what_it_is_for(
    call: Caller, db: None, fields: dict[str, Any], capabilities: list[str]
) -> None:
    make_model("one", **fields)

    assert call("GET", "/v1/models/one").json["capabilities"] == capabilities


def test_a_model_says_whether_it_is_loaded(
    call: Caller, tiny: LocalModel, qwen: LocalModel, fake_engine: FakeEngine
) -> None:
    engine().call(LoadModel(model=spec_for(qwen)), ModelReady)

    data = call("GET", "/v1/models").json["data"]

    assert {model["id"]: model["loaded"] for model in data} == {"qwen": True, "tiny": False}


def test_a_model_is_found_by_its_alias(call: Caller, tiny: LocalModel) -> None:
    LocalModel.objects.update(alias="openai/gpt-4o-mini")

    answer = call("GET", "/v1/models/openai/gpt-4o-mini")

    assert (answer.json["id"], answer.json["alias"]) == ("tiny", "openai/gpt-4o-mini")


def test_a_name_goes_before_an_alias_and_that_before_a_repository(
    call: Caller, tiny: LocalModel, qwen: LocalModel
) -> None:
    make_model("third", alias="acme/Qwen-Test")
    make_model("fourth", repo_id="tiny")

    assert call("GET", "/v1/models/acme/Qwen-Test").json["id"] == "third"
    assert call("GET", "/v1/models/tiny").json["id"] == "tiny"


def test_an_adapter_is_listed_after_its_model(
    call: Caller, tiny: LocalModel, pirate: Adapter
) -> None:
    base, adapter = call("GET", "/v1/models").json["data"]

    assert (base["id"], base["parent"]) == ("tiny", None)
    assert (adapter["id"], adapter["parent"]) == ("tiny:pirate", "tiny")
    assert call("GET", "/v1/models/tiny:pirate").json == adapter


def test_an_unknown_adapter_is_answered_with_those_there_are(
    call: Caller, tiny: LocalModel, pirate: Adapter
) -> None:
    answer = call("GET", "/v1/models/tiny:sailor")

    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
    assert "has no adapter 'sailor'. It has: tiny:pirate." in answer.error["message"]


def test_a_hub_without_models_has_an_empty_list(call: Caller, db: None) -> None:
    assert call("GET", "/v1/models").json == {"object": "list", "data": []}


@pytest.mark.parametrize("name", ["qwen", "acme/Qwen-Test"])
def test_a_model_is_found_by_name_and_by_repository(
    call: Caller, qwen: LocalModel, name: str
) -> None:
    answer = call("GET", f"/v1/models/{name}")

    assert answer.status == 200
    assert answer.json["id"] == "qwen"


def test_an_unknown_model_is_answered_with_the_way_to_get_it(
    call: Caller, tiny: LocalModel
) -> None:
    answer = call("GET", "/v1/models/acme/Other")

    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
    assert "`mlx-hub pull acme/Other`" in answer.error["message"]


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", "/v1/chat/completions/"])
def test_an_unknown_address_is_an_error_in_the_same_shape(
    call: Caller, method: str, path: str
) -> None:
    answer = call(method, path)

    assert answer.status == 404
    assert answer.error["code"] == "not_found"
    assert path in answer.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("PUT", "/admin/health", "GET"),
    ],
)
def test_a_wrong_method_is_an_error_in_the_same_shape(
    call: Caller, method: str, path: str, allowed: str
) -> None:
    answer = call(method, path)

    assert answer.status == 405
    assert answer.headers["Allow"] == allowed
    assert answer.error["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/openapi.json", "/v1/chat/completions"),
        ("/admin/api/openapi.json", "/admin/cache/prompts/warmup"),
    ],
)
def test_each_api_describes_itself(call: Caller, path: str, route: str) -> None:
    answer = call("GET", path)

    assert answer.status == 200
    assert route in answer.json["paths"]


@pytest.mark.parametrize("path", ["/v1/docs", "/admin/api/docs"])
def test_each_api_has_a_page_that_needs_no_other_host(call: Caller, path: str) -> None:
    answer = call("GET", path)

    assert answer.status == 200
    assert b"swagger-ui-bundle.js" in answer.content
    assert b"https://" not in answer.content


def test_djangos_admin_keeps_its_front_page(call: Caller, db: None) -> None:
    answer = call("GET", "/admin/")

    assert answer.status == 302
    assert answer.headers["Location"].startswith("/admin/login/")
