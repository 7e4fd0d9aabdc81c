"""How well and how fast a model folder does: the same text and the same steps for every model.

Perplexity is exp of the mean negative log-likelihood of each next token of
``perplexity.txt``, which ships with the hub. It compares a model with its own
conversions; models with other vocabularies are not comparable by it.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import psutil
from mlx_lm.models.cache import make_prompt_cache

from apps.models.runtime import loading, memory
from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.headers import read_config, read_tensors, weight_files, weight_groups
from apps.models.runtime.work.events import Measured

TEXT = Path(__file__).with_name("perplexity.txt")

MAX_TOKENS = 1024
CHUNK = 128
"""Tokens per forward pass: logits of a wide vocabulary take half a megabyte each."""

SPEED_TOKENS = 24
"""Decoded for the figure, after half as many that are not counted."""


def measure(path: Path, profile: AcceleratorProfile) -> Measured:
    """Load the model in folder ``path`` and try it; what it weighs alone where it does not fit.

    Raises ModelFormatError, ModelLoadError.
    """
    sizes = weigh(path)
    needed = memory.estimate(path, profile).total(MAX_TOKENS)
    free = psutil.virtual_memory().available
    if needed > free:
        note = (
            f"It takes about {needed / 1e9:.1f} GB to run and {free / 1e9:.1f} GB are free: "
            "not measured."
        )
        return sizes.model_copy(update={"note": note})
    loaded = loading.load(path, profile)
    tokens = loaded.tokenizer.encode(TEXT.read_text(encoding="utf-8"))
    tokens = tokens[: min(MAX_TOKENS, loaded.context_length)]
    figures = {
        "perplexity": perplexity(loaded.model, tokens),
        "tokens_per_second": decode_rate(loaded.model, tokens[:CHUNK]),
    }
    del loaded
    mx.clear_cache()
    return sizes.model_copy(update=figures)


def weigh(path: Path) -> Measured:
    """Bytes and bits per weight, from the headers alone. Raises ModelFormatError."""
    groups = weight_groups(read_tensors(path), read_config(path)).values()
    parameters = sum(group.parameters for group in groups)
    bits = 8 * sum(group.nbytes for group in groups) / parameters if parameters else 0.0
    return Measured(
        size_bytes=sum(file.stat().st_size for file in weight_files(path)), bits_per_weight=bits
    )


def perplexity(model: nn.Module, tokens: list[int]) -> float | None:
    """Of each token after the first, given those before it; None where it is no finite number."""
    cache = make_prompt_cache(model)
    loss = 0.0
    for start in range(0, len(tokens) - 1, CHUNK):
        inputs = mx.array(tokens[start : start + CHUNK])[None]
        targets = mx.array(tokens[start + 1 : start + 1 + CHUNK])[None]
        logits = model(inputs, cache=cache)[:, : targets.shape[1]].astype(mx.float32)
        loss += nn.losses.cross_entropy(logits, targets, reduction="sum").item()
    mean = loss / max(len(tokens) - 1, 1)
    # A model that was ruined by too few bits may not even give numbers.
    return math.exp(mean) if math.isfinite(mean) and mean < 700 else None


def decode_rate(model: nn.Module, prompt: list[int]) -> float:
    """Tokens per second of one greedy sequence, prefill left out."""
    cache = make_prompt_cache(model)
    token = mx.argmax(model(mx.array(prompt)[None], cache=cache)[:, -1], axis=-1)
    started = 0.0
    for step in range(-SPEED_TOKENS // 2, SPEED_TOKENS):
        if step == 0:
            started = time.perf_counter()
        token = mx.argmax(model(token[None], cache=cache)[:, -1], axis=-1)
        mx.eval(token)
    return SPEED_TOKENS / (time.perf_counter() - started)
