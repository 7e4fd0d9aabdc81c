"""The key with which the hub calls itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.inference.keys.endpoints import Endpoints
from apps.inference.keys.errors import KeyInvalid
from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import own_key, recognise

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_it_opens_the_api_until_the_block_ends() -> None:
    with own_key(name="Benchmarks", lifetime=HOUR) as text:
        key = recognise(text)
        assert (key.state, key.scopes, key.is_limited_for(Endpoints.GENERATION)) == (
            "active",
            ["inference"],
            False,
        )
    with pytest.raises(KeyInvalid, match="was revoked"):
        recognise(text)


def test_it_is_revoked_when_what_it_was_for_fails() -> None:
    with pytest.raises(ZeroDivisionError), own_key(name="Benchmarks", lifetime=HOUR):
        raise ZeroDivisionError
    assert ApiKey.objects.get().state == "revoked"


def test_one_that_a_killed_process_left_is_worth_nothing_after_the_next() -> None:
    ask_again = own_key(name="Benchmarks", lifetime=HOUR)
    with own_key(name="Benchmarks", lifetime=HOUR) as left, ask_again as text:
        assert recognise(text).name == "Benchmarks"
        with pytest.raises(KeyInvalid, match="not one of this hub's"):
            recognise(left)
    assert ApiKey.objects.count() == 1
