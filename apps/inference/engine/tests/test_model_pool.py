"""Which models stay, which go, and that the ceiling holds, with models made of numbers."""

from __future__ import annotations

import pytest

from apps.inference.engine.errors import (
    InsufficientMemory,
    LoadFailed,
    ModelBusy,
    ModelNotLoaded,
)
from apps.inference.engine.ledger import SHORT_CONVERSATION, Claim, Footprint
from apps.inference.engine.tests.fake_models import spec
from apps.inference.engine.tests.pools import CEILING, Pool

HOUR = 3600.0


@pytest.fixture
def pool() -> Pool:
    return Pool()


def large(pool: Pool, *names: str, weights: int = 4000) -> None:
    """Make models so large that two of them fit."""
    for name in names:
        pool.loader.sizes[name] = Footprint(weights, 100, 1)


def hold(pool: Pool, nbytes: int) -> tuple[str, ...]:
    claim = Claim("hold", "A training", Footprint(nbytes, 0, 0), stays="at work", pinned=True)
    return pool.pool.hold(claim)


class TestWorkOutsideTheEngine:
    def test_holds_memory_until_it_is_released(self, pool):
        hold(pool, 6000)
        assert pool.allowed == CEILING - 6000
        pool.pool.release("hold")
        assert pool.allowed == CEILING

    def test_makes_idle_models_leave(self, pool):
        large(pool, "a", "b")
        pool.load("a")
        pool.load("b")
        assert hold(pool, 4000) == ("a",)
        assert pool.names == ["b"]

    def test_is_refused_where_models_answer(self, pool):
        large(pool, "a")
        pool.load("a")
        pool.work.running["a"] = [10]
        with pytest.raises(InsufficientMemory, match=r"A training needs .*Unload a"):
            hold(pool, 9000)
        assert pool.pool.held == ()

    def test_keeps_models_from_being_loaded_over_it(self, pool):
        hold(pool, 8000)
        large(pool, "a")
        with pytest.raises(InsufficientMemory, match="a needs"):
            pool.load("a")


class TestLoading:
    def test_tells_how_far_it_is(self, pool):
        told = list(pool.pool.load(spec("a")))
        assert [progress.done_bytes for progress in told] == [0, 25, 50, 75, 100]
        assert {progress.total_bytes for progress in told} == {100}

    def test_claims_its_room_from_the_start(self, pool):
        load = pool.pool.load(spec("a"))
        next(load)
        assert pool.allowed == CEILING - 100 - SHORT_CONVERSATION

    def test_given_up_frees_its_room(self, pool):
        load = pool.pool.load(spec("a"))
        next(load)
        next(load)
        load.close()
        assert pool.loader.given_up == ["a"]
        assert pool.loader.released
        assert pool.allowed == CEILING
        assert pool.names == []

    def test_that_fails_leaves_nothing_behind(self, pool):
        pool.loader.broken.add("a")
        with pytest.raises(LoadFailed):
            pool.load("a")
        assert pool.allowed == CEILING
        assert pool.pool.find(spec("a")) is None

    def test_counts_what_it_really_took(self, pool):
        pool.loader.really["a"] = 300
        assert pool.load("a").described().measured_bytes == 300
        assert pool.allowed == CEILING - 300

    def test_that_took_more_than_expected_makes_an_idle_model_leave(self, pool):
        large(pool, "a", "b")
        pool.loader.really["b"] = 7000
        pool.load("a")
        pool.load("b")
        assert pool.names == ["b"]


class TestRoom:
    def test_the_prompt_cache_gives_way_before_any_model(self, pool):
        large(pool, "a", "b")
        pool.load("a")
        pool.load("b")
        assert pool.names == ["a", "b"]
        assert pool.allowed == CEILING - 8100

    def test_the_model_used_least_recently_leaves_for_another(self, pool):
        large(pool, "a", "b", "c")
        pool.load("a")
        pool.load("b")
        pool.load("a")
        pool.load("c")
        assert pool.names == ["a", "c"]

    def test_a_pinned_model_stays_and_the_other_leaves(self, pool):
        large(pool, "a", "b", "c")
        pool.load("a", pinned=True)
        pool.load("b")
        pool.load("c")
        assert pool.names == ["a", "c"]

    def test_models_that_answer_stay_and_the_refusal_names_them(self, pool):
        large(pool, "a", "b", "c")
        for name in "ab":
            pool.load(name)
            pool.work.running[name] = [10]
        with pytest.raises(InsufficientMemory, match="answering now"):
            pool.load("c")
        assert pool.names == ["a", "b"]

    def test_two_models_never_get_the_same_room_for_kv(self, pool):
        pool.load("a")
        pool.load("b")
        pool.work.running["a"] = [pool.pool.kv_budget("a")]
        assert pool.pool.kv_budget("b") == 0
        assert pool.pool.kv_capacity("b") == CEILING - 100

    def test_an_idle_model_leaves_where_answers_need_its_room(self, pool):
        large(pool, "a", "b")
        pool.load("a")
        pool.load("b")
        pool.work.running["b"] = [5000]
        pool.pool.balance()
        assert pool.names == ["b"]
        assert pool.allowed == CEILING - 4100 - 5000


class TestGoing:
    def test_an_idle_model_goes_after_its_own_time(self, pool):
        pool.load("short", ttl_seconds=60)
        pool.load("usual")
        pool.load("never", ttl_seconds=0)
        pool.load("pinned", pinned=True)
        for seconds, left in (
            (50, ["short", "usual", "never", "pinned"]),
            (20, ["usual", "never", "pinned"]),
            (HOUR, ["never", "pinned"]),
        ):
            pool.clock.now += seconds
            pool.pool.unload_idle()
            assert pool.names == left

    def test_a_model_that_answers_is_not_idle(self, pool):
        pool.load("a", ttl_seconds=60)
        pool.work.running["a"] = [1]
        pool.clock.now += HOUR
        pool.pool.unload_idle()
        assert pool.names == ["a"]

    def test_the_newest_call_decides_how_long_a_model_stays(self, pool):
        pool.load("a", ttl_seconds=60)
        assert pool.load("a", pinned=True).described().unloads_at is None
        model = pool.load("a", ttl_seconds=10)
        assert model.described().unloads_at == model.last_used_at + 10
        assert pool.loader.released == 0

    def test_a_pinned_model_is_unloaded_on_request(self, pool):
        pool.load("a", pinned=True)
        pool.pool.unload("a")
        assert pool.names == []
        assert pool.allowed == CEILING

    def test_a_model_that_answers_is_not_unloaded_on_request(self, pool):
        pool.load("a")
        pool.work.running["a"] = [1]
        with pytest.raises(ModelBusy) as refused:
            pool.pool.unload("a")
        assert refused.value.retry_after

    def test_what_is_not_loaded_can_not_be_unloaded(self, pool):
        with pytest.raises(ModelNotLoaded):
            pool.pool.unload("a")


class TestDrafts:
    def test_a_draft_comes_and_goes_with_its_model(self, pool):
        model = pool.load("a", draft="small")
        assert model.described().draft == "small"
        assert pool.names == ["a", "small"]
        pool.pool.unload("a")
        assert pool.names == []

    def test_a_draft_counts_with_its_model(self, pool):
        pool.load("a", draft="small")
        (claim,) = pool.pool.ledger().claims
        assert claim.footprint == Footprint(200, 0, 2)

    def test_a_draft_that_is_used_itself_stays_without_its_model(self, pool):
        pool.load("a", draft="small")
        pool.load("small")
        pool.pool.unload("a")
        assert pool.names == ["small"]

    def test_a_model_that_is_there_already_becomes_a_draft(self, pool):
        small = pool.load("small")
        assert pool.load("a", draft="small").draft is small

    def test_a_draft_can_not_be_unloaded_from_under_its_model(self, pool):
        pool.load("a", draft="small")
        with pytest.raises(ModelBusy, match="small drafts for a"):
            pool.pool.unload("small")

    def test_a_draft_of_a_model_that_answers_is_busy(self, pool):
        pool.load("small", ttl_seconds=1)
        pool.load("a", draft="small")
        pool.work.running["a"] = [1]
        pool.clock.now += HOUR
        pool.pool.unload_idle()
        assert pool.names == ["small", "a"]

    @pytest.mark.parametrize(
        ("trouble", "problem"),
        [
            (lambda pool: pool.loader.vocabularies.update(small="other"), "another vocabulary"),
            (lambda pool: pool.loader.broken.add("small"), "damaged"),
            (lambda pool: large(pool, "small", weights=CEILING), "needs"),
        ],
        ids=["other vocabulary", "damaged", "too large"],
    )
    def test_a_draft_that_does_not_do_is_left_out_and_the_model_answers(
        self, pool, trouble, problem
    ):
        trouble(pool)
        described = pool.load("a", draft="small").described()
        assert described.draft == ""
        assert problem in described.draft_problem
        assert pool.names == ["a"]

    def test_a_model_can_not_be_its_own_draft(self, pool):
        assert "its own draft" in pool.load("a", draft="a").draft_problem
        assert pool.names == ["a"]

    def test_another_draft_takes_the_place_of_the_former(self, pool):
        pool.load("a", draft="small")
        pool.load("a", draft="smaller")
        assert pool.names == ["a", "smaller"]
        assert pool.load("a").described().draft is None
        assert pool.names == ["a"]

    def test_a_draft_stays_while_its_model_answers_whatever_calls_say(self, pool):
        model = pool.load("a", draft="small")
        pool.work.running["a"] = [1]
        assert pool.load("a").draft is model.draft is not None

    def test_two_models_share_a_draft(self, pool):
        pool.load("a", draft="small")
        pool.load("b", draft="small")
        pool.pool.unload("a")
        assert pool.names == ["small", "b"]
        assert sum(claim.bytes for claim in pool.pool.ledger().claims) == 200
