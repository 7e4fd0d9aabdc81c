"""Estimates of a chat's memory against the peak of a real one. `python -m benchmarks fit` has more."""

from __future__ import annotations

import gc
import json

import mlx.core as mx
import pytest

from apps.inference.engine.protocol import Sampling
from apps.inference.engine.runner import BatchRunner
from apps.inference.engine.sampling import RowSampler
from apps.inference.engine.scheduler import Chunk
from apps.inference.engine.sequence import Sequence
from apps.inference.engine.tests.tiny import write_tiny_model
from apps.models.runtime import loading
from apps.models.runtime.headers import read_tensors
from apps.models.runtime.memory import ERROR_BOUND, Shape, Weights, estimate_chat

CHUNK = 64
TOKENS = 512

LARGER = {
    "llama": {"hidden_size": 384, "intermediate_size": 1024, "num_attention_heads": 6},
    "gemma3_text": {"hidden_size": 384, "intermediate_size": 1024, "head_dim": 64},
    "mamba2": {"hidden_size": 384, "num_heads": 12, "head_dim": 64, "intermediate_size": 768},
}


@pytest.mark.parametrize("kind", LARGER)
def test_a_chat_takes_what_was_estimated(profile, tmp_path, kind):
    sizes = {"vocab_size": 4000, "num_hidden_layers": 4, "max_position_embeddings": TOKENS}
    folder = write_tiny_model(tmp_path / kind, kind, **sizes, **LARGER[kind])
    config = json.loads((folder / "config.json").read_text())
    weights = Weights.of_tensors(read_tensors(folder), config)
    estimate = estimate_chat(Shape.of(config), weights, profile, TOKENS, chunk=CHUNK)

    assert peak_of_a_chat(profile, folder) == pytest.approx(estimate.total, rel=ERROR_BOUND)


def peak_of_a_chat(profile, folder) -> int:
    gc.collect()  # or what earlier tests left goes in the middle of it
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    runner = BatchRunner(loading.load(folder, profile).model, padding_allowed=0)
    sequence = Sequence("model", "client", tuple(i % 250 for i in range(TOKENS - 4)), 4)
    runner.begin(sequence, RowSampler(Sampling(temperature=0.0)), [])
    for start in range(0, TOKENS - 4, CHUNK):
        runner.prefill([Chunk(sequence, start, min(start + CHUNK, TOKENS - 4))])
    for _ in range(4):
        runner.decode()
    return mx.get_peak_memory() - before
