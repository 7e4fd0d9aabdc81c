"""The CPU's stand-ins mean what MLX's own operations mean."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.models.runtime.cpu import attention, rotary
from apps.models.runtime.cpu.activations import swiglu
from apps.models.runtime.cpu.layout import lay_out

shapes = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "kv_heads": st.integers(1, 3),
        "group": st.integers(1, 4),
        "queries": st.sampled_from([1, 2, 7, 33]),
        "past": st.sampled_from([0, 1, 40, 130]),
        "dimension": st.sampled_from([8, 16]),
        "value_dimension": st.sampled_from([8, 24]),
    }
)
masks = st.sampled_from(["none", "causal", "seen", "seen by head", "added", "two axes"])


@pytest.fixture(autouse=True)
def even_small_ones(monkeypatch):
    """Let NumPy do what would be left to MLX for its size."""
    monkeypatch.setattr(attention, "_SMALL", 0)
    monkeypatch.setattr(attention, "_BLOCK", 100)
    monkeypatch.setattr("apps.models.runtime.cpu.activations._SMALL", 0)


def _normal(*shape: int, seed: int) -> mx.array:
    return mx.array(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def _mask(kind: str, shape: dict, seed: int) -> mx.array | str | None:
    queries, keys = shape["queries"], shape["past"] + shape["queries"]
    causal = np.tri(queries, keys, shape["past"], dtype=bool)
    chance = np.random.default_rng(seed)
    heads = shape["kv_heads"] * shape["group"]
    match kind:
        case "none":
            return None
        case "causal":
            return "causal"
        case "seen":
            padded = chance.random((shape["batch"], 1, queries, keys)) < 0.7
            return mx.array((padded & causal) | (np.arange(keys) == 0))
        case "seen by head":
            padded = chance.random((shape["batch"], heads, queries, keys)) < 0.7
            return mx.array(padded | (np.arange(keys) == 0))
        case "two axes":
            return mx.array(causal)
        case _:
            return mx.array(np.where(causal, 0.5, -1e9).astype(np.float32))


@settings(deadline=None, max_examples=60)
@given(shape=shapes, kind=masks, seed=st.integers(0, 99))
def test_attention_equals_mlx_for_every_shape_and_mask(shape, kind, seed):
    keys = shape["past"] + shape["queries"]
    q = _normal(
        shape["batch"], shape["kv_heads"] * shape["group"], shape["queries"], shape["dimension"],
        seed=seed,
    )  # fmt: skip
    k = _normal(shape["batch"], shape["kv_heads"], keys, shape["dimension"], seed=seed + 1)
    v = _normal(shape["batch"], shape["kv_heads"], keys, shape["value_dimension"], seed=seed + 2)
    mask = _mask(kind, shape, seed)
    ours = attention.scaled_dot_product_attention(q, k, v, scale=0.3, mask=mask)
    theirs = attention._mlx_attention(q, k, v, scale=0.3, mask=mask)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=2e-6, rtol=1e-5)


def test_attention_leaves_its_inputs_as_they_were():
    q, k, v = (_normal(1, 2, 5, 8, seed=seed) for seed in range(3))
    before = [np.array(array) for array in (q, k, v)]
    mx.eval(attention.scaled_dot_product_attention(q, k, v, scale=1.0, mask="causal"))
    for array, was in zip((q, k, v), before, strict=True):
        np.testing.assert_array_equal(np.asarray(array), was)


def test_attention_leaves_sinks_and_half_precision_to_mlx():
    q, k, v = (_normal(1, 2, 5, 8, seed=seed) for seed in range(3))
    sinks = _normal(2, seed=9)
    with_sinks = attention.scaled_dot_product_attention(q, k, v, scale=1.0, sinks=sinks)
    expected = attention._mlx_attention(q, k, v, scale=1.0, mask=None, sinks=sinks)
    np.testing.assert_array_equal(np.asarray(with_sinks), np.asarray(expected))
    half = [array.astype(mx.float16) for array in (q, k, v)]
    assert attention.scaled_dot_product_attention(*half, scale=1.0).dtype == mx.float16


@settings(deadline=None, max_examples=60)
@given(
    batch=st.integers(1, 3),
    positions=st.sampled_from([1, 2, 17]),
    offset=st.one_of(st.integers(0, 9000), st.just("each its own")),
    base=st.sampled_from([1e4, 5e5, None]),
    scale=st.sampled_from([1.0, 0.25]),
)
def test_rotary_embeddings_equal_mlx_at_every_offset(batch, positions, offset, base, scale):
    a = _normal(batch, 2, positions, 16, seed=positions)
    at = mx.array([3 + 700 * row for row in range(batch)]) if isinstance(offset, str) else offset
    freqs = None if base else mx.array(np.linspace(1.0, 900.0, 8).astype(np.float32))
    given = {"traditional": False, "base": base, "scale": scale, "offset": at, "freqs": freqs}
    ours = rotary.rope(a, 16, **given)
    expected = _rotated(np.asarray(a, np.float64), at, base, scale, freqs)
    np.testing.assert_allclose(np.asarray(ours), expected, atol=2e-6)
    # MLX computes the angles in float32: at position 9,000 that alone is 1e-3.
    theirs = rotary._mlx_rope(a, 16, **given)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=4e-3)


def _rotated(a: np.ndarray, offset, base, scale, freqs) -> np.ndarray:
    """The rotation as complex numbers, in double precision."""
    half = a.shape[-1] // 2
    inverse = (
        1 / np.asarray(freqs, np.float64) if base is None else base ** (-np.arange(half) / half)
    )
    starts = np.broadcast_to(np.asarray(offset, np.float64), (len(a),))
    angles = (starts[:, None] + np.arange(a.shape[2]))[..., None] * scale * inverse
    turned = (a[..., :half] + 1j * a[..., half:]) * np.exp(1j * angles)[:, None]
    return np.concatenate([turned.real, turned.imag], axis=-1)


def test_rotary_embeddings_leave_other_layouts_to_mlx():
    a = _normal(1, 2, 3, 16, seed=1)
    for dims, traditional in ((8, False), (16, True)):
        given = {"traditional": traditional, "base": 1e4, "scale": 1.0, "offset": 5}
        np.testing.assert_array_equal(
            np.asarray(rotary.rope(a, dims, **given)),
            np.asarray(rotary._mlx_rope(a, dims, **given)),
        )


def test_two_frequency_tables_are_never_mixed_up():
    a = _normal(1, 1, 1, 8, seed=1)
    given = {"traditional": False, "base": None, "scale": 1.0, "offset": 5}
    for step in range(100):
        freqs = mx.array([1.0, 10.0, 100.0, 1000.0 + step])
        ours, theirs = (
            rotary.rope(a, 8, freqs=freqs, **given),
            rotary._mlx_rope(a, 8, freqs=freqs, **given),
        )
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=1e-5)


def test_swiglu_equals_mlx_far_out_too():
    gate = mx.array(np.linspace(-200, 200, 4001, dtype=np.float32))
    x = _normal(4001, seed=3)
    np.testing.assert_allclose(
        np.asarray(swiglu(gate, x)), np.asarray(nn.silu(gate) * x), atol=1e-5, rtol=1e-5
    )


def test_a_linear_layer_laid_out_anew_is_the_same_layer():
    linear = nn.Linear(24, 40)
    x, weight = _normal(5, 24, seed=4), np.array(linear.weight)
    before = np.array(linear(x))
    lay_out(linear)
    np.testing.assert_array_equal(np.array(linear.weight), weight)
    np.testing.assert_allclose(np.array(linear(x)), before, atol=1e-6)
