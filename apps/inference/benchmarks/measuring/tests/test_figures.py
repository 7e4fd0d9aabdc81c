"""What times amount to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from apps.inference.benchmarks.measuring.address import base_url
from apps.inference.benchmarks.measuring.client import Answer
from apps.inference.benchmarks.measuring.errors import BadAddress
from apps.inference.benchmarks.measuring.figures import (
    Figures,
    Samples,
    answers_rate,
    decode_rate,
    percentile,
    throughput,
)
from apps.inference.benchmarks.measuring.plan import FULL, QUICK, Plan
from apps.inference.benchmarks.measuring.targets import parameters_in_name, warm_target


def answer(*times: float, tokens: int | None = None) -> Answer:
    return Answer(asked_at=0.0, token_times=list(times), completion_tokens=tokens)


def test_the_rate_counts_while_every_row_is_answered() -> None:
    assert decode_rate([[0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]]) == pytest.approx(4 / 2)


def test_rows_that_do_not_overlap_count_from_first_to_last() -> None:
    assert decode_rate([[0.0, 1.0], [2.0, 4.0]]) == pytest.approx(3 / 4)


def test_a_single_piece_has_no_rate() -> None:
    assert decode_rate([[1.0]]) == 0.0


@given(st.lists(st.lists(st.floats(0, 1e3), min_size=1, max_size=20), min_size=1, max_size=8))
def test_no_times_make_a_rate_negative(rows: list[list[float]]) -> None:
    assert decode_rate([sorted(row) for row in rows]) >= 0.0


def test_pieces_of_several_tokens_count_as_their_tokens() -> None:
    assert answers_rate([answer(0.0, 1.0, 2.0, tokens=6)]) == pytest.approx(2.0)
    assert answers_rate([answer(0.0, 1.0, 2.0)]) == pytest.approx(1.0)


def test_a_crowds_figures_are_one_sample_for_each_round() -> None:
    rounds = [[answer(1.0, 1.1, 1.3), answer(2.0, 2.1, 2.2)], [answer(1.0, 1.2, 1.4)] * 2]
    level = throughput(2, rounds)
    assert level.first_token.samples == (2.0, 1.0)
    assert level.gap_p50.samples == pytest.approx((0.1, 0.2))
    assert level.gap_p95.samples == pytest.approx((0.2, 0.2))


def test_the_median_of_samples_is_exported_with_them() -> None:
    samples = Samples(samples=(3.0, 1.0, 2.0))
    assert samples.model_dump() == {"samples": (3.0, 1.0, 2.0), "median": 2.0}


def test_figures_come_back_from_json_as_they_were() -> None:
    figures = Figures(first_token=(), throughput=(throughput(1, [[answer(1.0, 2.0)]]),))
    assert Figures.model_validate(figures.model_dump(mode="json")) == figures


@given(st.lists(st.floats(0, 10), min_size=1))
def test_a_percentile_is_one_of_the_values_and_grows_with_its_share(values: list[float]) -> None:
    ordered = sorted(values)
    half, most, top = (percentile(ordered, share) for share in (50, 95, 100))
    assert {half, most, top} <= set(ordered)
    assert half <= most <= top == ordered[-1]


# --- plans ------------------------------------------------------------------------


def test_a_plan_is_changed_only_where_something_else_is_asked_for() -> None:
    assert QUICK.but(rounds=None, clients=None) == QUICK
    assert FULL.but(clients=[8, 1, 8]).clients == (1, 8)


@pytest.mark.parametrize("changes", [{"clients": [0]}, {"clients": []}, {"rounds": 0}, {"x": 1}])
def test_a_plan_that_can_not_be_run_is_refused(changes: dict) -> None:
    with pytest.raises(ValidationError):
        Plan().but(**changes)


# --- targets ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [
        (135e6, 0.050),
        (1.24e9, 0.050),
        (3.2e9, 0.075),
        (7.6e9, 0.100),
        (8.03e9, 0.100),
        (14e9, None),
        (None, None),
    ],
)
def test_the_target_follows_the_models_size(
    parameters: float | None, seconds: float | None
) -> None:
    assert warm_target(None if parameters is None else int(parameters)) == seconds


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen2.5-0.5B-Instruct-4bit", 500_000_000),
        ("mlx-community/Llama-3.2-3B-Instruct", 3_000_000_000),
        ("llama3:8b", 8_000_000_000),
        ("smollm2-135m-instruct", 135_000_000),
        ("gpt-4o", None),
        ("model-4bit", None),
    ],
)
def test_a_models_name_may_tell_its_size(name: str, parameters: int | None) -> None:
    assert parameters_in_name(name) == parameters


# --- addresses --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:1234", "http://127.0.0.1:1234/v1"),
        (" https://api.example.org/openai/v1/ ", "https://api.example.org/openai/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_an_address_gets_the_path_it_lacks(text: str, url: str) -> None:
    assert base_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:1234",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@host/v1",  # pragma: allowlist secret
        "http://host/v1?key=secret",
        "http://host:port/v1",
        "http://[::1/v1",
    ],
)
def test_what_is_no_address_of_an_api_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        base_url(text)
