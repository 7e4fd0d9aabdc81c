"""KV that tells its tokens, and a prompt cache that is asked for it."""

import mlx.core as mx
import numpy as np

from apps.inference.engine.prompt_cache.cache import Mark
from apps.inference.engine.prompt_cache.checkpoints import Checkpoint, PartState
from apps.inference.engine.prompt_cache.spans import KVSpan
from apps.inference.engine.protocol import ModelSpec

MODEL = ModelSpec(name="tiny", path="/nowhere", digest="d")
LAYERS, HEADS, WIDTH = 2, 2, 4
SYSTEM = tuple(range(100, 130))
"""A system prompt."""
TOKEN_BYTES = LAYERS * 2 * HEADS * WIDTH * 4


def kv(tokens, start=0, *, exact=False):
    """KV in which every number tells its token and its position.

    With ``exact`` there is a checkpoint that tells of all tokens.
    """
    numbers = np.array(
        [token * 1000 + position for position, token in enumerate(tokens)], dtype=np.float32
    )[start:]
    block = np.broadcast_to(numbers[None, None, :, None], (1, HEADS, len(numbers), WIDTH))
    layers = [(mx.array(block + layer), mx.array(-block - layer)) for layer in range(LAYERS)]
    return KVSpan(len(numbers), layers, checkpoint(tokens) if exact else None)


def checkpoint(tokens):
    return Checkpoint((PartState("state", (mx.array([tokens]), None)),))


def remember(cache, tokens, *, system=0, namespace="n", pinned=False, exact=False):
    tokens = tuple(tokens)
    covered = cache.covered(namespace, tokens, exact=exact)
    marks = [Mark("conversation", len(tokens), "hello", pinned)]
    if system:
        marks.insert(0, Mark("system", system, "system"))
    span = kv(tokens, covered, exact=exact) if covered < len(tokens) else None
    cache.remember(namespace, tokens, span, model=MODEL, marks=marks)


def assert_right(hit, tokens, *, exact=False):
    """What a hit returns is exactly the KV, or the state, of the prompt's beginning."""
    if not hit.tokens:
        assert hit.spans == []
        return
    expected = kv(tokens[: hit.tokens])
    for layer in range(LAYERS):
        for part in range(2):
            found = mx.concatenate([span.layers[layer][part] for span in hit.spans], axis=2)
            assert mx.array_equal(found, expected.layers[layer][part])
    if exact:
        (state,) = hit.spans[-1].checkpoint.parts
        assert state.arrays[0].tolist() == [list(tokens[: hit.tokens])]
        assert state.arrays[1] is None
