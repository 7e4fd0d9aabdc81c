"""The starter model, for real: from the installed package to an answer."""

from __future__ import annotations

import gc
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from apps.models.runtime import accelerator, loading, memory
from apps.models.runtime.digest import digest_files, digest_of
from apps.models.runtime.gguf.importer import import_gguf
from apps.models.runtime.inspect import ModelFacts, inspect_model
from apps.models.runtime.starter import find_starter
from apps.models.runtime.tests.numpy_llama import NumpyLlama

GGUF = find_starter()
PROFILE = accelerator.prepare()

pytestmark = [
    pytest.mark.starter,
    pytest.mark.skipif(GGUF is None, reason="the starter model's package is not installed"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert GGUF is not None
    destination = tmp_path_factory.mktemp("starter") / "model"
    import_gguf(GGUF, destination)
    return destination


@pytest.fixture(scope="module")
def starter(folder: Path) -> loading.LoadedModel:
    return loading.load(folder, PROFILE)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def test_its_facts_are_those_of_smollm2(folder: Path) -> None:
    assert inspect_model(folder) == ModelFacts(
        architecture="llama",
        parameters=134_515_008,
        quantization="mixed 4/8-bit",
        size_bytes=(folder / "model.safetensors").stat().st_size,
        context_length=8192,
        kind="chat",
        knows_tools=False,
        reasons=False,
        license="apache-2.0",
        base_repo_id="",
        recommended={},
    )


def test_importing_it_twice_gives_the_same_digest(folder: Path, tmp_path: Path) -> None:
    assert GGUF is not None
    import_gguf(GGUF, tmp_path / "again")

    again, first = (digest_of(digest_files(each)) for each in (tmp_path / "again", folder))
    assert again == first


@pytest.mark.skipif(not PROFILE.compute_float32, reason="weights are widened on a CPU only")
def test_loading_takes_what_was_estimated_and_little_more_on_the_way(folder: Path) -> None:
    expected = memory.estimate(folder, PROFILE)
    gc.collect()  # or what earlier tests left goes in the middle of it
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()

    loaded = loading.load(folder, PROFILE)

    assert loaded.weights_bytes == expected.weights_bytes
    assert mx.get_active_memory() - before == pytest.approx(expected.weights_bytes, rel=1e-3)
    assert mx.get_peak_memory() - before < expected.weights_bytes + expected.overhead_bytes


def test_it_knows_the_capital_of_france(starter: loading.LoadedModel) -> None:
    tokens = starter.tokenizer.encode("The capital of France is")

    answer = int(mx.argmax(starter.model(mx.array([tokens]))[0, -1]).item())

    assert starter.tokenizer.decode([answer]).strip() == "Paris"


def test_its_chat_template_renders_and_ends_with_the_models_turn(
    starter: loading.LoadedModel,
) -> None:
    ids = starter.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True
    )

    assert starter.tokenizer.decode(ids).endswith("<|im_start|>assistant\n")
    assert starter.tokenizer.eos_token_ids == {0, 2}


def test_an_independent_forward_pass_agrees_on_every_logit(starter: loading.LoadedModel) -> None:
    assert GGUF is not None
    if not PROFILE.compute_float32:
        pytest.skip("half precision can't agree to 1e-3")
    ids = starter.tokenizer.encode("Water boils at 100 degrees; the capital of France is")

    ours = np.array(starter.model(mx.array([ids]))[0])

    np.testing.assert_allclose(ours, NumpyLlama(GGUF).logits(ids), atol=1e-3)


@given(st.text())
def test_its_tokenizer_gives_back_any_text_its_bytes_can_spell(
    tokenizer: Tokenizer, text: str
) -> None:
    # SmolLM2's vocabulary lacks 21 bytes, control characters and rare planes
    # among them; its own tokenizer drops them as well.
    spelled = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    lacking = any(tokenizer.token_to_id(c) is None for piece, _ in spelled for c in piece)

    ids = tokenizer.encode(text, add_special_tokens=False).ids

    assert lacking or tokenizer.decode(ids, skip_special_tokens=False) == text
