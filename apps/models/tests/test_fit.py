"""The fit badge: verdicts, and the page's part that shows them."""

from __future__ import annotations

from typing import Any

import pytest
from django.template.loader import render_to_string

from apps.models.fit import Machine, chat_fit, host_machine, model_fits, rough_fit
from apps.models.runtime.memory import Weights

GIB = 1024**3
CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192,
    "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
    "vocab_size": 128256, "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
}  # fmt: skip
WEIGHTS = Weights(1_235_814_400, 2_471_628_800)


def machine(gib: float) -> Machine:
    return Machine("metal", int(gib * GIB))


@pytest.mark.parametrize(("gib", "verdict"), [(16, "fits"), (2.9, "tight"), (2, "too big")])
def test_a_verdict_depends_on_the_machine(gib: float, verdict: str) -> None:
    assert chat_fit(CONFIG, WEIGHTS, machine(gib)).verdict == verdict


def test_what_is_held_by_others_is_not_free() -> None:
    busy = Machine("metal", 16 * GIB, held_bytes=15 * GIB)

    assert chat_fit(CONFIG, WEIGHTS, busy).verdict == "too big"


def test_training_takes_more_the_more_is_trained() -> None:
    fits = model_fits(CONFIG, WEIGHTS, machine(16))

    lora, qlora, full = fits.training
    assert qlora.needed_bytes < lora.needed_bytes < full.needed_bytes
    assert [fit.purpose for fit in fits.all] == [
        "Chat with 4,096 tokens", "LoRA, 4 rows of 512 tokens", "QLoRA, 4 rows of 512 tokens",
        "Full fine-tune, 4 rows of 512 tokens",
    ]  # fmt: skip


def test_nobody_chats_beyond_the_models_context() -> None:
    short = CONFIG | {"max_position_embeddings": 1024}

    assert chat_fit(short, WEIGHTS, machine(16)).purpose == "Chat with 1,024 tokens"


@pytest.mark.parametrize(
    ("config", "weights", "gib", "reason"),
    [
        ({}, WEIGHTS, 16, "can't be estimated"),
        (CONFIG, None, 16, "size of the weights is not known"),
        (CONFIG, WEIGHTS, 0, "once the engine runs"),
    ],
)
def test_what_is_not_known_is_said(
    config: dict[str, Any], weights: Weights | None, gib: float, reason: str
) -> None:
    fit = chat_fit(config, weights, machine(gib))

    assert fit.verdict == "unknown"
    assert reason in fit.reason


def test_the_host_is_bounded_by_the_configured_ceiling() -> None:
    assert host_machine(3).ceiling_bytes == 3 * GIB
    assert host_machine().ceiling_bytes > 0 or host_machine().backend == "cuda"


def test_the_badge_shows_a_word_and_the_arithmetic() -> None:
    fit = chat_fit(CONFIG, WEIGHTS, machine(16))

    html = render_to_string("components/fit_badge.html", {"fit": fit})

    assert "chip--ok" in html
    assert "Fits" in html
    for term in fit.terms:
        assert term.label in html
        assert term.how in html
    assert "Free for models" in html
    assert fit.in_short in html


def test_an_unknown_fit_says_why() -> None:
    html = render_to_string("components/fit_badge.html", {"fit": chat_fit({}, None, machine(1))})

    assert "Fit unknown" in html
    assert "size of the weights is not known" in html


def test_a_rough_fit_goes_by_the_weights_alone_and_says_so() -> None:
    weights = Weights(8_000_000_000, 4_500_000_000, quantized=True)

    assert rough_fit(weights, machine(16)).verdict == "fits"
    assert rough_fit(weights, machine(4)).verdict == "too big"
    assert "the model's page counts it" in rough_fit(weights, machine(16)).terms[1].how
