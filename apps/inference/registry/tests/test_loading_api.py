"""Models in memory over REST."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.inference.engine.protocol import LoadModel, UnloadModel
from apps.inference.keys.services import create_key
from apps.inference.services import spec_for
from apps.models.models import LocalModel
from tests.engine_scripts import failure
from tests.fake_engine import FakeEngine
from tests.registry import make_model

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_loaded_model_is_told_with_what_it_holds(
    client: Client, fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    told = client.post("/api/models/tiny/load").json()
    assert (told["model"]["name"], told["seconds"]) == ("tiny", 0.1)
    listed = client.get("/api/loaded").json()
    assert listed == {"models": [told["model"]], "loading": None}
    (call,) = fake_engine.calls_of(LoadModel)
    assert call.request.model == spec_for(tiny)


def test_a_model_is_named_by_its_alias_too(
    client: Client, fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    LocalModel.objects.update(alias="gpt")
    assert client.post("/api/models/gpt/load").json()["model"]["name"] == "tiny"


def test_an_unloaded_model_is_gone_from_memory(
    client: Client, fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    fake_engine._load(spec_for(tiny))
    assert client.post("/api/models/tiny/unload").status_code == 204
    assert client.get("/api/loaded").json()["models"] == []


@pytest.mark.parametrize(
    ("code", "status"),
    [("model_busy", 409), ("model_not_loaded", 409), ("engine_unavailable", 503)],
)
def test_a_refusal_to_unload_has_its_status(
    client: Client, fake_engine: FakeEngine, tiny: LocalModel, code: str, status: int
) -> None:
    if code == "engine_unavailable":
        fake_engine.stop()
    else:
        fake_engine.once(UnloadModel, failure(code, "Not now."))  # type: ignore[arg-type]
    answer = client.post("/api/models/tiny/unload")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_what_does_not_fit_is_refused_with_the_engines_reason(
    client: Client, fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    fake_engine.once(LoadModel, failure("insufficient_memory", "It needs 9 GB."))
    answer = client.post("/api/models/tiny/load")
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "It needs 9 GB.")


@pytest.mark.usefixtures("fake_engine")
@pytest.mark.parametrize("action", ["load", "unload"])
def test_an_unknown_model_is_a_404(client: Client, action: str) -> None:
    assert client.post(f"/api/models/gone/{action}").status_code == 404


def test_a_key_sees_and_touches_its_own_models_alone(
    client: Client, fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    fake_engine._load(spec_for(tiny))
    qwen = make_model("qwen")
    fake_engine._load(spec_for(qwen))
    fake_engine.status["loading"] = "tiny"
    _, key = create_key(name="laptop", may_manage=True, models=[qwen])
    mine = {"x-api-key": key}
    listed = client.get("/api/loaded", headers=mine).json()
    assert ([each["name"] for each in listed["models"]], listed["loading"]) == (["qwen"], None)
    assert client.post("/api/models/tiny/unload", headers=mine).status_code == 404
