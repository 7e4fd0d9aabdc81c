"""A comparison begins with different models, as far as there are any."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from apps.playground.compare.choosing import names_asked_for, rearranged, to_begin_with


@pytest.mark.parametrize(
    ("asked", "there", "begun"),
    [
        ([], [], []),
        ([], ["a"], ["a", "a"]),
        ([], ["a", "b", "c"], ["a", "b"]),
        (["b"], ["a", "b"], ["b", "a"]),
        (["gone", "b"], ["a", "b"], ["b", "a"]),
        (["a", "a", "a"], ["a", "b"], ["a", "a", "a"]),
    ],
)
def test_two_stand_side_by_side_and_differ_where_they_can(
    asked: list[str], there: list[str], begun: list[str]
) -> None:
    assert to_begin_with(asked, there) == begun


def test_one_more_is_one_that_is_not_there_yet_up_to_four() -> None:
    there = ["a", "b", "c"]
    assert rearranged(["c", "a"], there, fewer=False) == ["c", "a", "b"]
    assert rearranged(["c", "a", "b"], there, fewer=False) == ["c", "a", "b", "a"]
    assert rearranged(["c", "a", "b", "a"], there, fewer=False) == ["c", "a", "b", "a"]


def test_the_last_goes_but_two_stay() -> None:
    assert rearranged(["a", "b", "c"], ["a", "b", "c"], fewer=True) == ["a", "b"]
    assert rearranged(["a", "b"], ["a", "b"], fewer=True) == ["a", "b"]


def test_an_address_names_at_most_four() -> None:
    asked = names_asked_for(QueryDict("models=a, b,,c&models=d,e"))
    assert asked == ["a", "b", "c", "d"]
