from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from apps.models.runtime.work.orders import ConvertOrder, Quantization, order_adapter


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "4-bit, groups of 64"),
        ({"bits": 8, "group_size": 32}, "8-bit, groups of 32"),
        ({"mixed": "mixed_3_6"}, "mixed 3/6-bit, groups of 64"),
        ({"mode": "mxfp4"}, "mxfp4"),
    ],
)
def test_a_quantisation_says_in_words_what_it_is(fields: dict[str, object], words: str) -> None:
    assert str(Quantization.model_validate(fields)) == words


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "mxfp4", "bits": 4},
        {"mode": "mxfp8", "group_size": 32},
        {"mode": "nvfp4", "mixed": "mixed_2_6"},
        {"bits": 4, "mixed": "mixed_2_6"},
        {"bits": 7},
        {"group_size": 48},
        {"bits": 4, "unknown": 1},
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Quantization.model_validate(fields)


def test_an_order_survives_the_pipe() -> None:
    order = ConvertOrder(
        source=Path("/a"), destination=Path("/b"), quantization=Quantization(bits=3)
    )

    assert order_adapter.validate_json(order.model_dump_json()) == order
