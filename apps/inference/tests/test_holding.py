"""Work outside the engine holds its memory there, for exactly as long as it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from apps.inference import holding
from apps.inference.client import EngineError
from apps.inference.engine.protocol import Held, HoldMemory
from apps.inference.holding import memory_held
from tests.engine_scripts import Hang, HangUp, failure
from tests.fake_engine import FakeEngine


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "AGAIN_SECONDS", 0.01)


def test_memory_is_held_while_the_work_goes_on(fake_engine: FakeEngine) -> None:
    with memory_held("Training 1", 1000):
        call = fake_engine.wait_for_call(HoldMemory)
        assert call.request == HoldMemory(name="Training 1", bytes=1000)
        assert not call.closed_early.is_set()
    call.wait_closed_early()


def test_work_for_which_there_is_no_room_does_not_begin(fake_engine: FakeEngine) -> None:
    fake_engine.once(HoldMemory, failure("insufficient_memory", "Unload tiny."))
    with pytest.raises(EngineError, match="Unload tiny"), memory_held("Training 1", 1000):
        pytest.fail("it began")


def test_an_engine_that_restarts_is_asked_again(fake_engine: FakeEngine) -> None:
    fake_engine.once(HoldMemory, Held(), HangUp())
    fake_engine.once(HoldMemory, failure("insufficient_memory"))
    fake_engine.once(HoldMemory, Held(), Hang())
    with memory_held("Training 1", 1000):
        call = fake_engine.wait_for_call(HoldMemory, number=3)
    call.wait_closed_early()


def test_without_an_engine_the_work_begins_at_once(tmp_path: Path, settings: Settings) -> None:
    settings.HUB = settings.HUB.model_copy(update={"home": tmp_path})
    began = False
    with memory_held("Training 1", 1000):
        began = True
    assert began


def test_a_failure_of_the_work_gives_the_memory_back(fake_engine: FakeEngine) -> None:
    with pytest.raises(ZeroDivisionError), memory_held("Training 1", 1000):
        raise ZeroDivisionError
    fake_engine.wait_for_call(HoldMemory).wait_closed_early()
