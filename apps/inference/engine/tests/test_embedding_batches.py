"""Which inputs are computed together, with models made of nothing."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine.embedding.batching import EmbedJob, EmbedLine
from apps.inference.engine.protocol import Embed, ModelSpec
from apps.inference.engine.sequence import Call

MODEL, OTHER = SimpleNamespace(), SimpleNamespace()
SPEC = ModelSpec(name="m", path="/m", digest="m")


def job(*lengths: int, client: str = "", model=MODEL, dimensions: int | None = None) -> EmbedJob:
    request = Embed(
        model=SPEC,
        inputs=tuple((7,) * length for length in lengths),
        client=client,
        dimensions=dimensions,
    )
    return EmbedJob.of(request, Call(lambda event: None), model)


def line(*jobs: EmbedJob) -> EmbedLine:
    waiting = EmbedLine()
    for each in jobs:
        waiting.join(each)
    return waiting


def lengths(batch) -> list[int]:
    return [len(each.tokens) for each in batch]


def batches(waiting: EmbedLine, max_tokens: int):
    while batch := waiting.next_batch(max_tokens):
        yield batch


def test_the_longest_input_comes_first_with_those_like_it() -> None:
    waiting = line(job(2, 9, 10, 6, 5, 4))

    assert [lengths(batch) for batch in batches(waiting, 100)] == [[10, 9, 6, 5], [4, 2]]


def test_a_batch_is_as_large_as_allowed_with_its_padding() -> None:
    waiting = line(job(*[10] * 5))

    assert [lengths(batch) for batch in batches(waiting, 20)] == [[10, 10], [10, 10], [10]]


def test_an_input_larger_than_allowed_goes_alone() -> None:
    assert [lengths(batch) for batch in batches(line(job(50, 1)), 20)] == [[50], [1]]


def test_small_calls_share_a_batch() -> None:
    jobs = [job(5, client=f"c{i}") for i in range(4)]

    (batch,) = batches(line(*jobs), 100)

    assert {each.job for each in batch} == set(jobs)


def test_what_is_computed_otherwise_shares_no_batch() -> None:
    waiting = line(job(5), job(5, model=OTHER), job(5, dimensions=3))

    assert [lengths(batch) for batch in batches(waiting, 100)] == [[5], [5], [5]]


def test_clients_take_turns_however_many_calls_they_have() -> None:
    many = [job(8, 8, client="many") for _ in range(5)]
    one = job(8, 8, client="one")

    served = [batch[0].job for batch in batches(line(*many, one), 8)]

    assert [served.index(one), served[::-1].index(one)] == [1, len(served) - 1 - 3]


def test_who_left_is_not_computed() -> None:
    left, stays = job(5), job(5)
    waiting = line(left, stays)
    waiting.leave(left)
    waiting.leave(left)

    assert [[each.job for each in batch] for batch in batches(waiting, 100)] == [[stays]]


calls = st.lists(
    st.tuples(
        st.lists(st.integers(1, 40), min_size=1, max_size=12),
        st.sampled_from("abc"),
        st.sampled_from([MODEL, OTHER]),
    ),
    max_size=8,
)


@given(calls, st.integers(1, 200))
def test_every_input_is_computed_once_and_no_batch_is_too_large(asked, max_tokens) -> None:
    jobs = [job(*sizes, client=client, model=model) for sizes, client, model in asked]

    found = list(batches(line(*jobs), max_tokens))

    done = [(each.job, each.index) for batch in found for each in batch]
    expected = {
        (each, index)
        for each, (sizes, _, _) in zip(jobs, asked, strict=True)
        for index in range(len(sizes))
    }
    assert len(done) == len(expected)
    assert set(done) == expected
    for batch in found:
        assert len(batch) == 1 or len(batch) * max(lengths(batch)) <= max_tokens
        assert len({id(each.job.model) for each in batch}) == 1
        assert min(lengths(batch)) * 2 >= max(lengths(batch))
