"""Loads under way: started, followed, failed, cancelled."""

from __future__ import annotations

import pytest

from apps.inference.client import EngineClient
from apps.inference.engine.protocol import Loading, LoadModel, ModelSpec
from apps.inference.loads import Load, ModelLoads
from tests.engine_scripts import Gate, failure
from tests.fake_engine import PATIENCE, FakeEngine

SPEC = ModelSpec(name="tiny", path="/models/tiny", digest="digest-tiny")


@pytest.fixture
def engine(fake_engine: FakeEngine) -> EngineClient:
    return EngineClient(fake_engine.socket_path)


def ended(load: Load) -> Load:
    assert load.ended.wait(PATIENCE)
    return load


def test_a_load_that_succeeds_leaves_nothing_behind(
    fake_engine: FakeEngine, engine: EngineClient
) -> None:
    loads = ModelLoads()
    ended(loads.start(SPEC, engine))
    assert loads.get(SPEC.digest) is None
    assert SPEC.digest in fake_engine.loaded


def test_a_load_is_seen_while_it_is_under_way(
    fake_engine: FakeEngine, engine: EngineClient
) -> None:
    gate = Gate()
    fake_engine.once(LoadModel, Loading(model="tiny"), gate, failure("model_load_failed"))
    loads = ModelLoads()
    load = loads.start(SPEC, engine)
    assert loads.get(SPEC.digest) is load
    assert load.running
    gate.open()
    assert not ended(load).running


def test_a_second_start_joins_the_load_under_way(
    fake_engine: FakeEngine, engine: EngineClient
) -> None:
    gate = Gate()
    fake_engine.once(LoadModel, gate, failure("model_load_failed"))
    loads = ModelLoads()
    first = loads.start(SPEC, engine)
    assert loads.start(SPEC, engine) is first
    gate.open()
    ended(first)
    assert len(fake_engine.calls_of(LoadModel)) == 1


def test_a_failure_is_kept_until_the_next_try(
    fake_engine: FakeEngine, engine: EngineClient
) -> None:
    fake_engine.once(LoadModel, failure("insufficient_memory", "It needs 9 GB; 2 GB are free."))
    loads = ModelLoads()
    load = ended(loads.start(SPEC, engine))
    assert loads.get(SPEC.digest) is load
    assert load.error is not None
    assert load.error.message == "It needs 9 GB; 2 GB are free."
    ended(loads.start(SPEC, engine))
    assert loads.get(SPEC.digest) is None


def test_a_failure_can_be_forgotten(fake_engine: FakeEngine, engine: EngineClient) -> None:
    fake_engine.once(LoadModel, failure("model_load_failed"))
    loads = ModelLoads()
    ended(loads.start(SPEC, engine))
    loads.forget(SPEC.digest)
    assert loads.get(SPEC.digest) is None


def test_cancelling_hangs_up_on_the_engine_and_is_no_failure(
    fake_engine: FakeEngine, engine: EngineClient
) -> None:
    fake_engine.once(LoadModel, Gate())
    loads = ModelLoads()
    load = loads.start(SPEC, engine)
    call = fake_engine.wait_for_call(LoadModel)
    loads.cancel(SPEC.digest)
    call.wait_closed_early()
    assert ended(load).error is None
    assert loads.get(SPEC.digest) is None


def test_an_engine_that_is_down_is_a_failure_like_any_other(fake_engine: FakeEngine) -> None:
    loads = ModelLoads()
    load = ended(loads.start(SPEC, EngineClient(fake_engine.home / "nobody.sock")))
    assert load.error is not None
    assert load.error.code == "engine_unavailable"


def test_cancelling_and_forgetting_what_is_not_there_does_nothing() -> None:
    loads = ModelLoads()
    loads.cancel("unknown")
    loads.forget("unknown")
    assert loads.get("unknown") is None
