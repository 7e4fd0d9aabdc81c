"""Sampling against NumPy, and rows in company against rows alone."""

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.inference.engine.errors import InvalidRequest
from apps.inference.engine.protocol import Sampling
from apps.inference.engine.sampling import RowSampler, sample
from apps.inference.engine.sampling.bias import check_bias
from apps.inference.engine.sampling.filters import filtered

SMALL, LARGE = 40, 1500
"""Vocabularies below and above the number of candidates that a top-k looks at."""


def logits_of(*key: int, vocabulary: int = SMALL) -> np.ndarray:
    return np.random.default_rng(key).normal(size=vocabulary).astype(np.float32) * 3


def tokens_of(logits, rows) -> list[int]:
    return sample(mx.array(np.stack(logits)), rows).tolist()


# --- oracles ----------------------------------------------------------------


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()


def adjusted(logits: np.ndarray, s: Sampling, prompt, answer) -> np.ndarray:
    logits = logits.astype(np.float64)
    for token, bias in s.logit_bias.items():
        logits[token] += bias
    for token in {*prompt, *answer}:
        value = logits[token]
        logits[token] = value / s.repetition_penalty if value > 0 else value * s.repetition_penalty
    for token in set(answer):
        logits[token] -= s.presence_penalty + s.frequency_penalty * answer.count(token)
    return logits


def support(logits: np.ndarray, s: Sampling) -> set[int]:
    """The tokens that top-k, top-p and min-p leave, each applied to what is left."""
    order = np.argsort(-logits)
    if s.top_k:
        order = order[: s.top_k]
    shares = softmax(logits[order])
    order = order[(np.cumsum(shares) - shares < s.top_p) | (s.top_p >= 1)]
    shares = softmax(logits)
    return {int(t) for t in order if shares[t] >= s.min_p * shares.max()}


# --- filters ----------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    top_p=st.sampled_from([0.1, 0.5, 0.9, 0.999, 1.0]),
    top_k=st.sampled_from([0, 1, 2, 7, 39, 1000, 1200, 5000]),
    min_p=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    vocabulary=st.sampled_from([SMALL, LARGE]),
)
def test_filters_leave_what_numpy_leaves(seed, top_p, top_k, min_p, vocabulary):
    s = Sampling(top_p=top_p, top_k=top_k, min_p=min_p)
    logits = logits_of(seed, vocabulary=vocabulary)
    kept = np.array(filtered(mx.array(logits)[None], [RowSampler(s)]))[0]
    assert set(np.flatnonzero(np.isfinite(kept)).tolist()) == support(logits, s)
    np.testing.assert_array_equal(kept[np.isfinite(kept)], logits[np.isfinite(kept)])


def test_draws_follow_the_distribution():
    logits = logits_of(3, vocabulary=8)
    rows = [RowSampler(Sampling(temperature=1.5, seed=seed)) for seed in range(20_000)]
    drawn = tokens_of([logits] * len(rows), rows)
    shares = np.bincount(drawn, minlength=8) / len(rows)
    np.testing.assert_allclose(shares, softmax(logits / 1.5), atol=0.012)


# --- penalties and bias -----------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    repetition=st.sampled_from([0.5, 1.0, 1.3, 3.0]),
    presence=st.sampled_from([-1.0, 0.0, 2.0]),
    frequency=st.sampled_from([-0.5, 0.0, 1.0]),
    bias=st.dictionaries(st.integers(0, SMALL - 1), st.sampled_from([-100.0, -2.0, 3.0])),
    prompt=st.lists(st.integers(0, SMALL - 1), max_size=10),
)
def test_a_greedy_answer_is_numpys_with_bias_and_penalties(
    seed, repetition, presence, frequency, bias, prompt
):
    s = Sampling(
        temperature=0,
        repetition_penalty=repetition,
        presence_penalty=presence,
        frequency_penalty=frequency,
        logit_bias=bias,
    )
    row = RowSampler(s, prompt=tuple(prompt))
    answer: list[int] = []
    for _ in range(6):
        # The same logits every time: only what was counted changes the choice.
        expected = adjusted(logits_of(seed), s, prompt, answer)
        (token,) = tokens_of([logits_of(seed)], [row])
        assert expected[token] == pytest.approx(expected.max(), abs=1e-4)
        answer.append(token)


def test_penalties_are_counted_before_anybody_read_the_token():
    row = RowSampler(Sampling(temperature=0, frequency_penalty=2.0))
    flat = mx.zeros((1, 4))
    lazily = [sample(flat, [row]) for _ in range(4)]
    assert sorted(token.item() for token in lazily) == [0, 1, 2, 3]


def test_a_bias_may_name_tokens_that_the_output_lacks():
    row = RowSampler(Sampling(temperature=0, logit_bias={SMALL + 5: 100.0, 3: 100.0}))
    assert tokens_of([logits_of(1)], [row]) == [3]


@pytest.mark.parametrize("bias", [{-1: 1.0}, {SMALL: 1.0}, {0: float("inf")}, {0: float("nan")}])
def test_a_bias_for_no_token_or_of_no_number_is_refused(bias):
    with pytest.raises(InvalidRequest, match="logit_bias"):
        check_bias(bias, SMALL)


# --- log probabilities ------------------------------------------------------


def test_log_probabilities_are_of_the_models_own_distribution():
    s = Sampling(temperature=0.3, top_k=2, logit_bias={7: 50.0}, presence_penalty=2.0, logprobs=5)
    row = RowSampler(s.model_copy(update={"seed": 1}))
    logits = logits_of(11)
    (token,) = tokens_of([logits], [row])
    told = row.tell(0)
    expected = np.log(softmax(logits))
    assert token == told.token == 7
    assert told.logprob == pytest.approx(expected[7], abs=1e-5)
    order = np.argsort(-expected)[:5]
    assert [t for t, _ in told.top] == order.tolist()
    np.testing.assert_allclose([p for _, p in told.top], expected[order], atol=1e-5)


def test_log_probabilities_of_several_steps_are_told_in_order():
    row = RowSampler(Sampling(temperature=1, seed=5, logprobs=0))
    tokens = [tokens_of([logits_of(i)], [row])[0] for i in range(5)]
    told = [row.tell(i) for i in range(5)]
    assert [one.token for one in told] == tokens
    assert all(one.top == () for one in told)


def test_an_impossible_token_has_a_log_probability_that_json_can_carry():
    row = RowSampler(Sampling(temperature=0, logprobs=2))
    sample(mx.array([[0.0, -np.inf, -np.inf]]), [row])
    assert [value for _, value in row.tell(0).top] == [0.0, -9999.0]


def test_a_row_that_did_not_ask_is_told_nothing():
    asking = RowSampler(Sampling(temperature=0, logprobs=1))
    silent = RowSampler(Sampling(temperature=0))
    tokens_of([logits_of(1), logits_of(2)], [silent, asking])
    assert silent.tell(0) is None
    assert asking.tell(0) is not None


# --- in company -------------------------------------------------------------

rows_of_any_kind = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.7, 1.5]),
    top_p=st.sampled_from([1.0, 0.8]),
    top_k=st.sampled_from([0, 3, 1100]),
    min_p=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 2**64 - 1),
    repetition_penalty=st.sampled_from([1.0, 1.4]),
    presence_penalty=st.sampled_from([0.0, 1.0]),
    frequency_penalty=st.sampled_from([0.0, 0.3]),
    logit_bias=st.dictionaries(st.integers(0, 30), st.sampled_from([-5.0, 5.0]), max_size=3),
    logprobs=st.sampled_from([None, 0, 2, 5]),
)
PROMPT = (1, 2, 3)


def alone(s: Sampling, place: int, steps: int):
    row = RowSampler(s, prompt=PROMPT)
    answer = []
    for step in range(steps):
        (token,) = tokens_of([logits_of(place, step, vocabulary=LARGE)], [row])
        answer.append((token, row.tell(step)))
    return answer


@settings(max_examples=40, deadline=None)
@given(
    members=st.lists(
        st.tuples(rows_of_any_kind, st.integers(0, 4), st.integers(1, 5)), min_size=1, max_size=5
    )
)
def test_any_mixture_of_rows_gives_each_row_what_it_gets_alone(members):
    """Rows join and leave at different steps; not a bit differs."""
    rows = [RowSampler(s, prompt=PROMPT) for s, _, _ in members]
    answers: list[list] = [[] for _ in members]
    for step in range(10):
        present = [i for i, (_, join, length) in enumerate(members) if join <= step < join + length]
        if not present:
            continue
        logits = [logits_of(i, step - members[i][1], vocabulary=LARGE) for i in present]
        for i, token in zip(present, tokens_of(logits, [rows[i] for i in present]), strict=True):
            answers[i].append((token, rows[i].tell(len(answers[i]))))
    assert answers == [alone(s, i, length) for i, (s, _, length) in enumerate(members)]


@settings(max_examples=40, deadline=None)
@given(s=rows_of_any_kind, cut=st.integers(0, 5), unread=st.integers(0, 2))
def test_a_row_that_lost_its_place_goes_on_as_if_nothing_had_happened(s, cut, unread):
    whole = alone(s, 0, 6)
    row = RowSampler(s, prompt=PROMPT)
    for step in range(min(cut + unread, 6)):  # sampled further than was told
        tokens_of([logits_of(0, step, vocabulary=LARGE)], [row])
    row.resume([token for token, _ in whole[:cut]])
    rest = []
    for step in range(cut, 6):
        (token,) = tokens_of([logits_of(0, step, vocabulary=LARGE)], [row])
        rest.append((token, row.tell(step)))
    assert rest == whole[cut:]


def test_greedy_rows_cost_one_argmax(monkeypatch):
    """What neighbours may ask for costs rows that don't nothing."""
    for name in ("sort", "softmax", "where", "partition", "logsumexp"):
        monkeypatch.setattr(mx, name, lambda *_, **__: pytest.fail("not for greedy rows"))
    rows = [RowSampler(Sampling(temperature=0)) for _ in range(3)]
    logits = [logits_of(i) for i in range(3)]
    assert tokens_of(logits, rows) == [int(row.argmax()) for row in logits]
