"""Requests that wait for their model: their order, what they hear, and how a load ends."""

from __future__ import annotations

import pytest

from apps.inference.engine import protocol
from apps.inference.engine.model_loads import ModelLoads
from apps.inference.engine.model_pool import ModelPool
from apps.inference.engine.sequence import Call
from apps.inference.engine.tests.fake_models import PARTS, Clock, FakeLoader, FakeWork, spec


class Asked(Call):
    def __init__(self) -> None:
        self.events: list[protocol.Event] = []
        super().__init__(self.events.append)


class Loads(ModelLoads):
    """Loads of fake models, each part of which takes a tenth of a second."""

    def __init__(self) -> None:
        self.loader = FakeLoader()
        self.pool = ModelPool(
            self.loader, FakeWork(), ceiling_bytes=1 << 20, allow_cache=lambda nbytes: None
        )
        self.time = Clock()
        super().__init__(self.pool, clock=self._tick)

    def _tick(self) -> float:
        self.time.now += 0.05
        return self.time.now

    def ask(self, name: str, **fields) -> Asked:
        asked = Asked()
        asked.asked_at = self.time.now
        message = protocol.Message(role="user", content="hello")
        request = protocol.Generate(model=spec(name), messages=(message,), **fields)
        self.wait(request, asked)
        return asked

    def finish(self) -> list[Call]:
        """Go on until a model is there; who waited for it."""
        for _ in range(100):
            if ready := self.advance(0.1):
                return [waiting.call for waiting in ready]
        raise AssertionError("no load came to its end")


@pytest.fixture
def loads() -> Loads:
    return Loads()


def test_everybody_who_waits_for_a_model_goes_on_in_order(loads):
    asked = [loads.ask("a") for _ in range(3)]
    assert len(loads) == 3
    assert loads.finish() == asked
    assert len(loads) == 0


def test_models_are_loaded_in_the_order_they_were_asked_for(loads):
    first, second = loads.ask("a"), loads.ask("b")
    late = loads.ask("a")
    assert loads.finish() == [first, late]
    assert loads.finish() == [second]


def test_a_turn_does_only_a_part_of_a_load(loads):
    loads.ask("a")
    assert loads.advance(0.0) == []
    assert loads.progress.done_bytes == 0
    assert loads.advance(0.0) == []
    assert loads.progress.share == 1 / PARTS


def test_those_who_wait_hear_how_far_it_is(loads):
    first = loads.ask("a")
    for _ in range(3):
        loads.advance(0.0)
    late = loads.ask("a")
    assert late.events == [protocol.Loading(model="a", done_bytes=50, total_bytes=100)]
    loads.finish()
    told = [event.done_bytes for event in first.events]
    assert told == sorted(told)
    assert first.events[-1].total_bytes == 100


def test_they_hear_of_it_a_few_times_a_second_at_most(loads):
    asked = loads.ask("a")
    started = loads.time.now
    loads.finish()
    assert len(asked.events) <= 2 + (loads.time.now - started) / 0.25


def test_a_load_goes_on_while_anybody_waits(loads):
    gone, other = loads.ask("a"), loads.ask("a")
    loads.advance(0.0)
    gone.cancel()
    loads.drop()
    assert loads.finish() == [other]


def test_a_load_that_nobody_waits_for_is_given_up(loads):
    gone, next_one = loads.ask("a"), loads.ask("b")
    loads.advance(0.1)
    gone.cancel()
    loads.drop()
    assert loads.loader.given_up == ["a"]
    assert "a" not in loads.pool
    assert loads.finish() == [next_one]


def test_a_model_that_is_waited_for_again_after_a_load_was_given_up_is_loaded(loads):
    loads.ask("a").cancel()
    loads.drop()
    again = loads.ask("a")
    assert loads.finish() == [again]
    assert "a" in loads.pool


def test_a_load_that_fails_ends_those_who_wait_for_it_and_no_others(loads):
    loads.loader.broken.add("a")
    failed, other = loads.ask("a"), loads.ask("b")
    assert loads.finish() == [other]
    assert failed.events[-1].code == "model_load_failed"
    assert len(loads) == 0


def test_a_load_that_breaks_in_an_unknown_way_does_not_end_the_engine(loads, monkeypatch, caplog):
    monkeypatch.setattr(loads.loader, "expected", lambda spec: 1 / 0)
    failed = loads.ask("a")
    assert loads.advance(0.1) == []
    assert failed.events[-1].code == "internal_error"
    assert "ZeroDivisionError" in caplog.text


def test_a_request_does_not_wait_longer_than_its_deadline(loads):
    hasty, patient = loads.ask("a", deadline_seconds=5), loads.ask("a")
    loads.advance(0.0)
    loads.time.now += 5
    loads.drop()
    assert hasty.events[-1].code == "deadline_exceeded"
    assert loads.finish() == [patient]


def test_ending_all_tells_everybody_and_frees_what_was_loaded(loads):
    asked = [loads.ask("a"), loads.ask("b")]
    loads.advance(0.0)
    loads.advance(0.0)
    loads.end_all(protocol.Failed(code="shutting_down", message="The hub stops."))
    assert [one.events[-1].code for one in asked] == ["shutting_down"] * 2
    assert loads.loader.given_up == ["a"]
