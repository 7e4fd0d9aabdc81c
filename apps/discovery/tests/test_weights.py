"""How large a model is, from the hub's summary of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.discovery.listing import ListedModel, is_repo_id, listed
from apps.discovery.weights import WeightFigures, stated_size, weight_figures

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["bits", "BF16"]), inner)
    ),
    max_leaves=12,
)
FIELDS = (
    *("id", "modelId", "tags", "config", "gguf", "safetensors", "cardData", "gated"),
    *("downloads", "likes", "createdAt", "lastModified", "pipeline_tag", "library_name"),
)


def figures(name: str, counts: dict[str, int], **config: Any) -> WeightFigures:
    return weight_figures(name, ("mlx",), {"parameters": counts}, None, config)


def test_full_precision_is_counted_as_it_is() -> None:
    told = figures("Tiny-1B", {"BF16": 1_000_000_000, "F32": 1000})
    assert told == WeightFigures(1_000_001_000, 2_000_004_000, "bfloat16")


@pytest.mark.parametrize(
    "counts",
    [
        # Counted as they lie in the file: eight weights in an element, and scales and biases.
        {"U32": 875_000_000, "BF16": 218_750_000},
        # Counted unpacked.
        {"U32": 7_000_000_000, "BF16": 218_750_000},
    ],
)
def test_packed_weights_are_told_either_way_the_hub_counts_them(counts: dict[str, int]) -> None:
    told = figures("Whale-7B-4bit", counts, quantization_config={"bits": 4})
    assert told.parameters == pytest.approx(7e9, rel=0.04)
    assert told.nbytes == 875_000_000 * 4 + 218_750_000 * 2
    assert told.quantization == "4-bit"


@pytest.mark.parametrize(
    ("name", "tags", "config", "quantization"),
    [
        ("Tiny-4bit", (), {}, "4-bit"),
        ("Tiny-q6-bits", (), {}, "6-bit"),
        ("Tiny", ("8-bit",), {}, "8-bit"),
        ("Tiny", (), {"quantization": {"bits": 3, "group_size": 64}}, "3-bit"),
        ("Tiny-4bit", (), {"quantization": {"bits": 4, "mode": "mxfp4"}}, "mxfp4"),
        ("gpt-MXFP4-Q8", (), {}, "mxfp4"),
        ("Tiny", ("gguf",), {}, "GGUF"),
        ("Tiny-14bit", (), {}, ""),
        ("Tiny", (), {"quantization": "4"}, ""),
    ],
)
def test_the_quantisation_is_told_by_config_tags_or_name(
    name: str, tags: tuple[str, ...], config: dict[str, Any], quantization: str
) -> None:
    assert weight_figures(name, tags, None, None, config).quantization == quantization


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Qwen2.5-0.5B-Instruct-4bit", 500_000_000),
        ("SmolLM2-135M-Instruct", 135_000_000),
        ("Qwen3-30B-A3B", 30_000_000_000),
        ("Mixtral-8x7B", None),
        ("gpt-4bit", None),
        ("Model", None),
    ],
)
def test_the_size_is_read_from_the_name_where_it_states_one(name: str, size: int | None) -> None:
    assert stated_size(name) == size


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)) | JSON)
def test_a_listing_of_any_shape_is_a_model_or_nothing(item: object) -> None:
    model = listed(item)
    assert model is None or is_repo_id(model.repo_id)


@given(st.fixed_dictionaries({"id": st.just("a/b")}, optional=dict.fromkeys(FIELDS[1:], JSON)))
def test_odd_values_of_a_model_are_harmless(item: dict[str, Any]) -> None:
    model = listed(item)
    assert isinstance(model, ListedModel)
    assert model.downloads >= 0
    assert model.parameters is None or model.parameters >= 0
