"""How much a key may ask for: the sliding minute, the places, and what callers are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.inference.engine.protocol import Generate
from apps.inference.keys import limits
from apps.inference.keys.errors import LimitReached
from apps.inference.keys.leases import Leases
from apps.inference.keys.limits import LEASE, WINDOW, admit, renew, settle
from apps.inference.keys.models import Admission, ApiKey
from apps.inference.keys.services import Limits, create_key
from apps.inference.keys.tests.conftest import CHAT, KeyHolder
from apps.inference.tests.conftest import Caller
from tests.engine_scripts import failure, reply
from tests.fake_engine import PATIENCE, FakeEngine


class Clock:
    """The time that limits are counted in."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def __call__(self) -> Any:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits.timezone, "now", clock)
    return clock


@pytest.fixture
def key_with(db: None) -> Callable[..., ApiKey]:
    return lambda **numbers: create_key(name="ada", limits=Limits(**numbers))[0]


class TestRequests:
    def test_as_many_as_the_limit_are_let_in_and_then_no_more(
        self, key_with: Callable[..., ApiKey], clock: Clock
    ) -> None:
        key = key_with(requests_per_minute=2)
        assert admit(key, tokens=0).budgets.requests.remaining == 1
        clock.advance(10)
        assert admit(key, tokens=0).budgets.requests.remaining == 0
        clock.advance(20)
        with pytest.raises(LimitReached) as refused:
            admit(key, tokens=0)
        assert refused.value.retry_after == 30
        assert refused.value.budgets.requests.remaining == 0
        assert refused.value.budgets.requests.reset == 40

    def test_the_window_slides(self, key_with: Callable[..., ApiKey], clock: Clock) -> None:
        key = key_with(requests_per_minute=2)
        admit(key, tokens=0)
        clock.advance(59)
        admit(key, tokens=0)
        clock.advance(1)  # the first has left, the second has not
        admit(key, tokens=0)
        with pytest.raises(LimitReached):
            admit(key, tokens=0)

    def test_a_refused_request_does_not_count(
        self, key_with: Callable[..., ApiKey], clock: Clock
    ) -> None:
        key = key_with(requests_per_minute=1)
        admit(key, tokens=0)
        for _ in range(5):
            with pytest.raises(LimitReached):
                admit(key, tokens=0)
        clock.advance(60)
        admit(key, tokens=0)

    def test_keys_do_not_share_a_limit(self, key_with: Callable[..., ApiKey]) -> None:
        admit(key_with(requests_per_minute=1), tokens=0)
        other, _ = create_key(name="grace", limits=Limits(requests_per_minute=1))
        admit(other, tokens=0)

    def test_rows_that_no_limit_looks_at_any_more_are_deleted(
        self, key_with: Callable[..., ApiKey], clock: Clock
    ) -> None:
        key = key_with(requests_per_minute=5)
        for _ in range(3):
            admit(key, tokens=0)
        clock.advance(WINDOW.total_seconds())
        last = admit(key, tokens=0)
        settle(last.id, tokens=5)
        assert Admission.objects.get().pk == last.id


class TestTokens:
    def test_an_estimate_counts_until_the_end_and_then_what_it_took(
        self, key_with: Callable[..., ApiKey], clock: Clock
    ) -> None:
        key = key_with(tokens_per_minute=100)
        first = admit(key, tokens=60)
        with pytest.raises(LimitReached):
            admit(key, tokens=50)
        settle(first.id, tokens=40)
        assert admit(key, tokens=50).budgets.tokens.remaining == 10

    def test_an_answer_that_outlived_the_window_counts_from_its_end(
        self, key_with: Callable[..., ApiKey], clock: Clock
    ) -> None:
        key = key_with(tokens_per_minute=100)
        first = admit(key, tokens=10)
        clock.advance(300)
        settle(first.id, tokens=90)
        with pytest.raises(LimitReached) as refused:
            admit(key, tokens=20)
        assert refused.value.retry_after == 60

    def test_the_wait_is_until_enough_is_free(
        self, key_with: Callable[..., ApiKey], clock: Clock
    ) -> None:
        key = key_with(tokens_per_minute=100)
        for tokens in (10, 40, 50):
            admit(key, tokens=tokens)
            clock.advance(10)
        with pytest.raises(LimitReached) as refused:
            admit(key, tokens=30)  # 10 are not enough, 50 are
        assert refused.value.retry_after == 40

    def test_a_request_over_the_whole_limit_is_not_told_to_wait(
        self, key_with: Callable[..., ApiKey]
    ) -> None:
        with pytest.raises(LimitReached, match="This request alone") as refused:
            admit(key_with(tokens_per_minute=10), tokens=11)
        assert refused.value.retry_after is None


class TestPlaces:
    def test_a_place_is_taken_until_its_request_ends(self, key_with: Callable[..., ApiKey]) -> None:
        key = key_with(concurrency=1)
        first = admit(key, tokens=0)
        with pytest.raises(LimitReached, match="under way at once"):
            admit(key, tokens=0)
        settle(first.id, tokens=0)
        admit(key, tokens=0)

    def test_a_place_whose_process_died_is_free_after_its_lease(
        self, key_with: Callable[..., ApiKey], clock: Clock
    ) -> None:
        key = key_with(concurrency=1)
        admit(key, tokens=0)
        clock.advance(LEASE.total_seconds() - 1)
        with pytest.raises(LimitReached):
            admit(key, tokens=0)
        clock.advance(1)
        admit(key, tokens=0)

    def test_a_sign_of_life_keeps_a_place(
        self, key_with: Callable[..., ApiKey], clock: Clock
    ) -> None:
        key = key_with(concurrency=1)
        held = admit(key, tokens=0)
        clock.advance(LEASE.total_seconds() - 1)
        renew([held.id])
        clock.advance(LEASE.total_seconds() - 1)
        with pytest.raises(LimitReached):
            admit(key, tokens=0)

    def test_a_sign_of_life_that_comes_late_revives_nothing(
        self, key_with: Callable[..., ApiKey]
    ) -> None:
        held = admit(key_with(concurrency=1), tokens=0)
        settle(held.id, tokens=0)
        renew([held.id])
        assert Admission.objects.get().lease_until is None


class TestLeases:
    def test_places_are_renewed_while_they_are_held_and_the_thread_ends_with_the_last(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        renewed, twice = [], threading.Event()

        def note(ids: list[int]) -> None:
            renewed.append(ids)
            if len(renewed) == 2:
                twice.set()

        monkeypatch.setattr("apps.inference.keys.leases.renew", note)
        leases = Leases(every=0.001)
        leases.hold(7)
        thread = leases._thread
        assert thread is not None
        assert twice.wait(PATIENCE)
        leases.let_go(7)
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert set(map(tuple, renewed)) == {(7,)}

    def test_a_database_that_fails_once_does_not_end_it(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        from django.db import OperationalError

        answers, again = [OperationalError("locked")], threading.Event()

        def fail_once(ids: list[int]) -> None:
            if answers:
                raise answers.pop()
            again.set()

        monkeypatch.setattr("apps.inference.keys.leases.renew", fail_once)
        leases = Leases(every=0.001)
        leases.hold(1)
        thread = leases._thread
        assert again.wait(PATIENCE)
        leases.let_go(1)
        assert thread is not None
        thread.join(PATIENCE)
        assert "were not renewed" in caplog.text


@pytest.mark.usefixtures("_cast")
class TestOverHttp:
    def test_headers_tell_what_is_left_as_openai_does(self, call: Caller) -> None:
        limits = Limits(requests_per_minute=10, tokens_per_minute=1000)
        headers = KeyHolder(call, limits=limits).chat().headers
        assert headers["x-ratelimit-limit-requests"] == "10"
        assert headers["x-ratelimit-remaining-requests"] == "9"
        assert headers["x-ratelimit-reset-requests"] == "60.000s"
        assert headers["x-ratelimit-limit-tokens"] == "1000"
        assert 900 < int(headers["x-ratelimit-remaining-tokens"]) < 1000

    def test_headers_of_messages_tell_it_as_anthropic_does(self, call: Caller) -> None:
        holder = KeyHolder(call, limits=Limits(requests_per_minute=2, tokens_per_minute=1000))
        body = CHAT | {"max_tokens": 5}
        headers = holder("POST", "/v1/messages", body).headers
        assert headers["anthropic-ratelimit-requests-limit"] == "2"
        assert headers["anthropic-ratelimit-requests-remaining"] == "1"
        assert 900 < int(headers["anthropic-ratelimit-tokens-remaining"]) < 1000
        assert "x-ratelimit-limit-requests" not in headers
        full = datetime.fromisoformat(headers["anthropic-ratelimit-requests-reset"])
        assert 30 < (full - timezone.now()).total_seconds() <= 60

        holder("POST", "/v1/messages", body)
        refused = holder("POST", "/v1/messages", body)
        assert refused.status == 429
        assert refused.error["type"] == "rate_limit_error"
        assert refused.headers["anthropic-ratelimit-requests-remaining"] == "0"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60

    def test_a_key_without_limits_is_told_nothing(self, holder: KeyHolder) -> None:
        assert not any(name.startswith("x-ratelimit") for name in holder.chat().headers)

    def test_the_limit_is_a_429_that_says_when(self, call: Caller) -> None:
        holder = KeyHolder(call, limits=Limits(requests_per_minute=1))
        assert holder.chat().status == 200
        answer = holder.chat()
        assert answer.status == 429
        assert answer.error["code"] == "rate_limit_exceeded"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"

    def test_reading_what_there_is_does_not_count(self, call: Caller) -> None:
        holder = KeyHolder(call, limits=Limits(requests_per_minute=1))
        for _ in range(3):
            assert holder("GET", "/v1/models").status == 200
        assert holder.chat().status == 200

    def test_what_an_answer_took_counts_against_the_tokens(
        self, call: Caller, fake_engine: FakeEngine
    ) -> None:
        fake_engine.once(Generate, *reply("Hello", prompt_tokens=700))
        holder = KeyHolder(call, limits=Limits(tokens_per_minute=1000))
        holder.chat()
        assert Admission.objects.get().tokens == 701
        assert int(holder.chat().headers["x-ratelimit-remaining-tokens"]) < 300

    @pytest.mark.parametrize("stream", [True, False])
    def test_a_place_is_given_back_however_the_answer_ends(
        self, call: Caller, fake_engine: FakeEngine, stream: bool
    ) -> None:
        fake_engine.once(Generate, failure("model_load_failed"))
        fake_engine.once(Generate, *reply("A", failure("internal_error")))
        holder = KeyHolder(call, limits=Limits(concurrency=1))
        assert [holder.chat(stream=stream).status for _ in range(3)][-1] == 200
        assert not Admission.objects.exclude(lease_until=None).exists()

    def test_a_request_that_is_refused_for_its_content_gives_its_place_back(
        self, call: Caller
    ) -> None:
        holder = KeyHolder(call, limits=Limits(concurrency=1))
        assert holder.chat(temprature=1).status == 400
        assert holder.chat().status == 200

    def test_a_key_costs_few_queries(
        self, call: Caller, django_assert_max_num_queries: Any
    ) -> None:
        plain = KeyHolder(call, name="plain")
        plain.chat()
        with django_assert_max_num_queries(5):  # key, model, savepoint twice, record
            plain.chat()
