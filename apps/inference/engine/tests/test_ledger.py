"""The ledger's arithmetic: who fits, who leaves, and what people are told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine.errors import InsufficientMemory
from apps.inference.engine.ledger import Claim, Footprint, Ledger

GIB = 1024**3
MIB = 1024**2


def claim(name: str, weights: int, *, working: int = 0, kv: int = 0, **fields) -> Claim:
    return Claim(name, name, Footprint(weights, working, kv), **fields)


@st.composite
def ledgers(draw) -> Ledger:
    claims = [
        claim(
            f"model-{i}",
            draw(st.integers(0, 100)),
            working=draw(st.integers(0, 20)),
            kv=draw(st.integers(0, 3)),
            kv_tokens=draw(st.integers(0, 20)),
            stays=draw(st.sampled_from(["", "", "answering now", "pinned"])),
            last_used_at=draw(st.integers(0, 5)),
        )
        for i in range(draw(st.integers(0, 5)))
    ]
    return Ledger(draw(st.integers(0, 300)), tuple(claims))


@given(ledgers())
def test_claims_and_what_is_left_for_the_cache_fill_the_ceiling_and_no_more(ledger):
    assert ledger.claimed + ledger.left == max(ledger.ceiling, ledger.claimed)


@given(ledgers(), st.integers(0, 100))
def test_a_load_is_let_in_only_where_it_fits_beside_all_that_stays(ledger, weights):
    new = claim("new", weights, stays="being loaded")
    try:
        leaving = ledger.leaving_for(new)
    except InsufficientMemory:
        staying = tuple(one for one in ledger.claims if one.stays)
        assert Ledger(ledger.ceiling, (*staying, new)).claimed > ledger.ceiling
        return
    assert not any(one.stays for one in leaving)
    rest = tuple(one for one in ledger.claims if one not in leaving)
    assert Ledger(ledger.ceiling, (*rest, new)).claimed <= ledger.ceiling


@given(ledgers())
def test_nobody_leaves_before_one_that_was_used_less_recently(ledger):
    leaving = ledger.leaving()
    stayed = [one for one in ledger.claims if one not in leaving and not one.stays]
    if leaving and stayed:
        assert max(one.last_used_at for one in leaving) <= min(one.last_used_at for one in stayed)


@given(ledgers().filter(lambda ledger: ledger.claims))
def test_a_model_that_uses_its_whole_budget_still_fits(ledger):
    """The sum over all models' reservations fits, not each of them alone."""
    mine, *others = ledger.claims
    busy = replace(mine, stays="answering now", kv_tokens=0)
    full = replace(busy, kv_tokens=ledger.kv_budget(mine.digest))
    if Ledger(ledger.ceiling, (busy, *others)).fits:
        assert Ledger(ledger.ceiling, (full, *others)).fits


@given(ledgers().filter(lambda ledger: ledger.claims), st.data())
def test_a_model_that_takes_all_its_room_still_fits(ledger, data):
    mine = data.draw(st.sampled_from(ledger.claims))
    others = tuple(claim for claim in ledger.claims if claim is not mine)
    mine = replace(mine, stays="answering now")
    full = replace(
        mine.footprint, weights_bytes=mine.footprint.weights_bytes + ledger.room(mine.name)
    )
    if Ledger(ledger.ceiling, (*others, mine)).fits:
        assert Ledger(ledger.ceiling, (*others, replace(mine, footprint=full))).fits


def test_an_idle_neighbour_keeps_no_room_from_a_model():
    mine, neighbour = claim("mine", 40, stays="answering now"), claim("neighbour", 50)
    assert Ledger(100, (mine, neighbour)).room("mine") == 60
    assert Ledger(100, (mine, replace(neighbour, stays="pinned"))).room("mine") == 10


@given(ledgers().filter(lambda ledger: ledger.claims))
def test_what_fits_now_would_fit_later(ledger):
    digest = ledger.claims[0].digest
    assert ledger.kv_capacity(digest) >= ledger.kv_budget(digest)


def test_working_memory_counts_once_for_the_model_that_needs_most():
    ledger = Ledger(100, (claim("a", 10, working=7), claim("b", 20, working=5)))
    assert ledger.claimed == 37


def test_what_another_model_answers_with_is_not_there_twice():
    busy = claim("busy", 10, kv=1, kv_tokens=50, stays="answering now")
    ledger = Ledger(100, (busy, claim("mine", 10, kv=2)))
    assert ledger.kv_budget("mine") == (100 - 10 - 50 - 10) // 2
    assert ledger.kv_capacity("mine") == (100 - 10) // 2


def refusal(*claims: Claim, ceiling: int, new: Claim) -> str:
    with pytest.raises(InsufficientMemory) as refused:
        Ledger(ceiling, claims).leaving_for(new)
    return str(refused.value)


def test_a_refusal_names_every_model_whose_unloading_alone_would_do():
    text = refusal(
        claim("llama-8b", int(4.3 * GIB), stays="answering now"),
        claim("qwen-7b", 5 * GIB, stays="pinned"),
        claim("tiny", GIB, stays="pinned"),
        ceiling=12 * GIB,
        new=claim("gemma-9b", 4 * GIB, stays="being loaded"),
    )
    assert text == (
        "gemma-9b needs 4.0 GiB for its weights, its work and a short conversation; 1.7 GiB are "
        "to be had under the memory ceiling of 12.0 GiB. Unload llama-8b (4.3 GiB, answering now) "
        "or qwen-7b (5.0 GiB, pinned), choose a smaller or more quantised model, or raise "
        "MLXHUB_MEMORY_CEILING_GB."
    )


def test_a_refusal_names_all_models_that_would_have_to_go_together():
    text = refusal(
        claim("a", 4 * GIB, stays="pinned"),
        claim("b", 3 * GIB, stays="answering now"),
        ceiling=8 * GIB,
        new=claim("large", 7 * GIB, stays="being loaded"),
    )
    assert "Unload a (4.0 GiB, pinned) and b (3.0 GiB, answering now), choose" in text


def test_a_refusal_of_a_model_too_large_for_the_machine_names_nobody():
    text = refusal(
        claim("a", 4 * GIB, stays="pinned"),
        ceiling=8 * GIB,
        new=claim("huge", 40 * GIB, stays="being loaded"),
    )
    assert "Unload" not in text
    assert "Choose a smaller or more quantised model, or raise MLXHUB_MEMORY_CEILING_GB." in text
