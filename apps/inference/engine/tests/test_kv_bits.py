"""Cached KV in fewer bits: smaller, near enough, and never taken for KV of another setting."""

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import make_prompt_cache

from apps.inference.engine import protocol
from apps.inference.engine.config import PromptCacheConfig
from apps.inference.engine.prompt_cache.cache import Mark, PromptCache
from apps.inference.engine.prompt_cache.layout import layout_of
from apps.inference.engine.prompt_cache.quantized import dense, quantized
from apps.inference.engine.prompt_cache.spans import (
    KVSpan,
    cache_from_spans,
    span_from_body,
    span_of_cache,
)
from apps.inference.engine.tests.harness import SteppedEngine, chat
from apps.inference.engine.tests.tiny import tiny_model, write_tiny_model

TOLERANCE = {8: 0.03, 4: 0.3}
"""Largest difference of a logit, cold against warm, relative to the largest logit.

For random weights of ordinary size, on which no token is likelier than the next by
much: trained models are less easily disturbed."""

SHAPES = {
    # A head dimension of 64, one of 32, and one beside layers that keep no plain KV.
    "llama": {"hidden_size": 256},
    "lfm2": {"hidden_size": 128, "block_dim": 128},
    "gemma3_text": {"head_dim": 64},
    "falcon_h1": {"head_dim": 64},
}

every_setting = pytest.mark.parametrize("bits", [8, 4])
MODEL = protocol.ModelSpec(name="tiny", path="/nowhere", digest="d")


@pytest.fixture(scope="module")
def models():
    return {name: tiny_model(name, scale=1, **sizes) for name, sizes in SHAPES.items()}


def forward(model, cache, tokens):
    logits = model(mx.array(tokens)[None], cache=cache)[:, -1, :]
    mx.eval(logits, [layer.state for layer in cache])
    return logits


def random_span(tokens=20, heads=2, dimension=64, dtype=mx.float32, seed=0):
    mx.random.seed(seed)
    keys, values = (mx.random.normal((1, heads, tokens, dimension)).astype(dtype) for _ in "kv")
    return KVSpan(tokens, [(keys, values)])


@every_setting
@pytest.mark.parametrize("architecture", list(SHAPES))
@settings(deadline=None, max_examples=15)
@given(
    tokens=st.lists(st.integers(0, 255), min_size=3, max_size=60),
    cuts=st.lists(st.integers(1, 1000), min_size=1, max_size=2),
    through_disk=st.booleans(),
)
def test_cold_and_warm_logits_agree_within_the_tolerance(
    models, architecture, bits, tokens, cuts, through_disk
):
    model = models[architecture]
    layout = layout_of(make_prompt_cache(model))
    cold = forward(model, make_prompt_cache(model), tokens)
    cache, spans, start = make_prompt_cache(model), [], 0
    for stop in sorted({cut % (len(tokens) - 1) + 1 for cut in cuts}):
        forward(model, cache, tokens[start:stop])
        span = span_of_cache(layout, cache, start, stop).quantized(bits)
        spans.append(span_from_body(span.export()) if through_disk else span)
        cache, start = cache_from_spans(layout, spans, len(tokens) - stop), stop
    warm = forward(model, cache, tokens[start:])
    assert mx.abs(cold - warm).max() <= TOLERANCE[bits] * mx.abs(cold).max()


@every_setting
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_each_number_is_off_by_a_step_of_its_group_at_most(bits, dtype):
    keys, _ = random_span(dtype=dtype).layers[0]
    restored = dense(quantized(keys, bits))
    assert restored.dtype == dtype
    step = (keys.max(axis=-1) - keys.min(axis=-1)) / (2**bits - 1)
    # The scale is kept in the numbers' own dtype and is rounded there.
    rounding = 2 * mx.finfo(dtype).eps * 2**bits if dtype != mx.float32 else 0.0
    error = mx.abs(restored - keys).max(axis=-1)
    assert mx.all(error <= step * (1 + rounding))


@pytest.mark.parametrize(
    ("dtype", "bits", "share"),
    [
        (mx.float32, 8, 0.2813),
        (mx.float32, 4, 0.1563),
        (mx.float16, 8, 0.5313),
        (mx.float16, 4, 0.2813),
        (mx.bfloat16, 8, 0.5313),
        (mx.bfloat16, 4, 0.2813),
    ],
)
def test_bytes_shrink_in_memory_and_on_disk(dtype, bits, share):
    span = random_span(tokens=200, dtype=dtype)
    fewer = span.quantized(bits)
    assert fewer.nbytes / span.nbytes == pytest.approx(share, abs=1e-3)
    assert fewer.export().nbytes == fewer.nbytes


@every_setting
@given(start=st.integers(0, 19), length=st.integers(1, 20))
def test_cutting_and_quantising_come_in_either_order(bits, start, length):
    span, stop = random_span(heads=1), min(20, start + length)
    one, other = span.cut(start, stop).quantized(bits), span.quantized(bits).cut(start, stop)
    for part, same in zip(one.layers[0], other.layers[0], strict=True):
        assert mx.array_equal(dense(part), dense(same))
    assert one.nbytes == other.nbytes


@pytest.mark.parametrize("dimension", [0, 8, 48, 80])
def test_a_head_dimension_that_no_group_divides_stays_as_it_is(dimension):
    span = random_span(dimension=dimension)
    assert span.quantized(4).layers[0][0] is span.layers[0][0]


@pytest.fixture
def open_cache(tmp_path):
    def make(bits, **options):
        config = PromptCacheConfig(
            directory=tmp_path / "cache", min_free_disk_bytes=0, kv_bits=bits, **options
        )
        return PromptCache(config)

    return make


@every_setting
def test_a_restart_finds_the_same_bits_on_disk(open_cache, bits):
    span, tokens = random_span(dtype=mx.bfloat16), tuple(range(20))
    cache = open_cache(bits)
    cache.remember("n", tokens, span, model=MODEL, marks=[Mark("system", 20, "system")])
    (before,) = cache.lookup("n", (*tokens, 1)).spans
    cache.close()
    again = open_cache(bits)
    (after,) = again.lookup("n", (*tokens, 1)).spans
    again.close()
    for part, same in zip(before.layers[0], after.layers[0], strict=True):
        assert mx.array_equal(dense(part), dense(same))


def test_kv_of_another_setting_is_not_used_and_kept_for_its_return(open_cache):
    tokens = tuple(range(20))
    found = []
    for bits in (None, 8, 4, 8, None):
        cache = open_cache(bits)
        found.append(cache.lookup("n", (*tokens, 1)).tokens)
        if not found[-1]:
            marks = [Mark("system", 20, "system")]
            cache.remember("n", tokens, random_span(), model=MODEL, marks=marks)
        cache.close()
    assert found == [0, 0, 0, 20, 20]


@pytest.fixture(scope="session")
def wide(tmp_path_factory):
    """A model whose heads are wide enough for MLX's groups."""
    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "wide", **SHAPES["llama"])
    return protocol.ModelSpec(name="wide", path=str(folder), digest="wide")


def test_the_engine_keeps_eight_bits_and_reuses_as_much(profile, tmp_path, wide):
    system = "You are a patient teacher of geography and you answer briefly."
    requests = [chat(wide, text, system=system, max_tokens=1) for text in ("one", "two", "two")]
    held = {}
    for bits in (None, 8):
        stepped = SteppedEngine(profile, tmp_path / str(bits), prompt_cache={"kv_bits": bits})
        cached = [stepped.answer(request).last.usage.cached_tokens for request in requests]
        assert cached[1] >= len(system)
        assert cached[2] > cached[1]
        held[bits] = stepped.engine.snapshot.stats.memory_bytes
        stepped.engine._cache.close()
    assert held[8] < held[None] * 0.3
