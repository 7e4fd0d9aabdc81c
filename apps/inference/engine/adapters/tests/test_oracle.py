"""Rows of a mixed batch get what mlx-lm gives each of them alone with its adapter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.tuner.utils import load_adapters

from apps.inference.engine.adapters.bank import AdapterBank
from apps.inference.engine.adapters.tests.tiny_adapters import write_tiny_adapter
from apps.inference.engine.tests.tiny import tiny_config, tiny_model

TOLERANCE = 1e-3
"""Largest difference of a logit, relative to the largest: sums go in another order, and
the tiny models' large weights make single positions sensitive to it."""


def quantised() -> Any:
    model = tiny_model("llama")
    nn.quantize(model, group_size=32, bits=4, class_predicate=_divisible)
    return model


def _divisible(_: str, module: Any) -> bool:
    return hasattr(module, "to_quantized") and module.weight.shape[-1] % 32 == 0


def with_experts() -> Any:
    """A mixture of experts; prompts of some length are sorted by expert."""
    from mlx_lm.models import qwen3_moe

    mx.random.seed(0)
    sizes = {
        "head_dim": 8,
        "moe_intermediate_size": 32,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "norm_topk_prob": True,
        "rope_theta": 10000.0,
    }
    config = tiny_config("llama") | {"model_type": "qwen3_moe"} | sizes
    return qwen3_moe.Model(qwen3_moe.ModelArgs.from_dict(config))


BASES: dict[str, Callable[[], Any]] = {
    "llama": lambda: tiny_model("llama"),
    "quantised": quantised,
    "sliding window": lambda: tiny_model("gemma3_text"),
    "hybrid": lambda: tiny_model("lfm2"),
    "recurrent": lambda: tiny_model("mamba2"),
    "experts": with_experts,
}

ADAPTERS: dict[str, dict[str, dict[str, Any]]] = {
    name: {
        "first": {"seed": 1, "rank": 4},
        "second": {"seed": 2, "rank": 7, "scale": 3.0},
        "last block": {"seed": 3, "rank": 2, "num_layers": 1},
    }
    for name in BASES
}
ADAPTERS["llama"] |= {
    "dora": {"seed": 4, "rank": 3, "kind": "dora"},
    "dora attention": {"seed": 5, "kind": "dora", "keys": ["self_attn.q_proj"]},
    "embedding": {"seed": 6, "keys": ["model.embed_tokens", "mlp.up_proj"]},
    "dora embedding": {"seed": 7, "kind": "dora", "keys": ["model.embed_tokens"]},
}
ADAPTERS["quantised"] |= {"dora": {"seed": 4, "rank": 3, "kind": "dora"}}


class Trial:
    """A base with its adapters in one bank, and each adapter alone as mlx-lm applies it."""

    def __init__(self, base: Callable[[], Any], adapters: dict[str, Any], root: Any) -> None:
        self.model = base()
        self.bank = AdapterBank(self.model)
        self.alone: dict[str | None, Any] = {None: base()}
        self.digests: dict[str | None, str | None] = {None: None}
        for name, options in adapters.items():
            spec = write_tiny_adapter(root / name, base(), **options)
            self.bank.ensure(spec)
            self.digests[name] = spec.digest
            self.alone[name] = load_adapters(base(), spec.path)
            self.alone[name].eval()


@pytest.fixture(scope="module")
def trials(tmp_path_factory) -> dict[str, Trial]:
    return {
        name: Trial(base, ADAPTERS[name], tmp_path_factory.mktemp(name))
        for name, base in BASES.items()
    }


@pytest.fixture(params=list(BASES))
def trial(request, trials) -> Trial:
    return trials[request.param]


def agree(found: mx.array, expected: mx.array) -> bool:
    return bool(mx.abs(found - expected).max() <= TOLERANCE * mx.abs(expected).max())


def check(trial: Trial, names: list[str | None], length: int, steps: int = 2) -> None:
    """One prefill and some decode steps of all rows together, against each row alone."""
    mx.random.seed(length)
    prompt = mx.random.randint(0, 255, (len(names), length))
    caches = {i: make_prompt_cache(trial.alone[name]) for i, name in enumerate(names)}
    together = make_prompt_cache(trial.model)
    for tokens in [prompt, *[prompt[:, :1]] * steps]:
        trial.bank.use([trial.digests[name] for name in names])
        logits = trial.model(tokens, cache=together)
        for row, name in enumerate(names):
            expected = trial.alone[name](tokens[row : row + 1], cache=caches[row])
            assert agree(logits[row : row + 1], expected), (row, name)


@pytest.mark.parametrize("length", [1, 7, 40])
def test_rows_with_and_without_adapters_share_a_batch(trial, length):
    check(trial, [None, "first", "second"], length)


@pytest.mark.parametrize("length", [1, 7])
def test_all_adapters_at_once(trial, length):
    check(trial, [*trial.digests, *reversed(trial.digests)], length)


@pytest.mark.parametrize("names", [["second"], ["first"] * 3, [None, None]])
def test_rows_that_agree(trial, names):
    check(trial, names, 9)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_any_rows_may_use_any_adapter(trials, data):
    trial = trials[data.draw(st.sampled_from(list(trials)))]
    names = st.lists(st.sampled_from(list(trial.digests)), min_size=1, max_size=6)
    for rows in data.draw(st.lists(names, min_size=1, max_size=3)):
        check(trial, rows, data.draw(st.integers(1, 20)), steps=1)


def test_an_adapter_changes_answers(trial):
    """Else agreement would prove nothing."""
    tokens = mx.arange(10)[None]
    base = trial.alone[None](tokens)
    for name in trial.digests:
        assert agree(trial.alone[name](tokens), base) == (name is None), name
