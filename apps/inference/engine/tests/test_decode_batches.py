"""Rows of like lengths share a batch; who is with whom changes no answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.inference.engine.decode_batch import padding
from apps.inference.engine.scheduler import Limits, Scheduler
from apps.inference.engine.sequence import Sequence
from apps.inference.engine.tests.harness import chat
from apps.inference.engine.tests.tiny import ARCHITECTURES

LENGTHS = (3, 9, 60, 70, 180, 200)


def asked_for(spec, length, *, seed):
    # Words that nothing else begins with: no prompt shall wait for another's KV.
    text = f"{chr(65 + seed)}{'word ' * (length // 5)}"
    return chat(spec, text, temperature=0.8, seed=seed, max_tokens=4 + 3 * seed)


def runner_of(engine, spec):
    return engine.engine._pool[spec.digest].runner


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize("allowed", [0, 90, 10**6])
def test_answers_are_the_same_in_whatever_batch_their_rows_are(engine, spec, allowed):
    requests = [asked_for(spec, length, seed=seed) for seed, length in enumerate(LENGTHS)]
    alone = [engine.answer(request).text for request in requests]
    runner = runner_of(engine, spec)
    runner.padding_allowed = allowed
    asked = [engine.submit(request) for request in requests]
    most = 0
    while not all(one.finished for one in asked):
        engine.engine.turn(wait=False)
        batches = runner._batches
        most = max(most, len(batches))
        assert all(padding(batch.lengths) <= allowed for batch in batches)
        assert all(batch.lengths == [row.computed for row in batch.rows] for batch in batches)
    assert [one.text for one in asked] == alone
    assert most == 1 if allowed == 10**6 else most > 1
    assert not runner._batches
    assert runner.live_kv_bytes == 0


@pytest.mark.parametrize("architecture", ["llama"])
def test_a_long_prompt_stays_in_its_own_cache_beside_short_answers(engine, spec):
    engine.answer(chat(spec, "warm", max_tokens=1))
    runner = runner_of(engine, spec)
    runner.padding_allowed = 100
    short = [engine.submit(chat(spec, f"{letter} is a letter", max_tokens=90)) for letter in "xyz"]
    while not (len(runner._batches) == 1 and len(runner._batches[0].rows) == 3):
        engine.engine.turn(wait=False)
    long = engine.submit(chat(spec, "long " * 60, max_tokens=6))
    while not any(batch.is_single for batch in runner._batches):
        engine.engine.turn(wait=False)
    assert [len(batch.rows) for batch in runner._batches] == [3, 1]
    engine.finish(long, *short)


@settings(deadline=None, max_examples=200)
@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=8),
    allowed=st.integers(0, 600),
    cuts=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_what_is_reserved_covers_every_way_to_group_rows(lengths, allowed, cuts):
    """Any grouping that the runner may come to, where each batch keeps to its padding."""
    groups = [[lengths[0]]]
    for length, cut in zip(lengths[1:], cuts, strict=False):
        together = [*groups[-1], length]
        if cut or padding(together) > allowed:
            groups.append([length])
        else:
            groups[-1] = together
    held = sum(len(group) * max(group) for group in groups)
    scheduler = Scheduler(
        Limits(max_batch=8, max_queue=8, chunk_tokens=8, busy_chunk_tokens=2),
        lambda model: 10**9,
        padding_allowed=lambda model: allowed,
    )
    for i, length in enumerate(lengths):
        scheduler.submit(Sequence("m", f"client {i}", (i,) * length, max_tokens=0))
    scheduler.schedule()
    assert scheduler.reserved_tokens("m") >= held
    assert scheduler.reserved_tokens("m") <= len(lengths) * max(lengths)
