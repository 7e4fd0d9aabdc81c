"""An imported GGUF file is the same model: weight for weight, logit for logit."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from gguf import MODEL_ARCH_NAMES, get_tensor_name_map
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize
from mlx.utils import tree_flatten
from mlx_lm.models.rope_utils import initialize_rope
from mlx_lm.utils import load_model

from apps.models.runtime import accelerator, loading
from apps.models.runtime.errors import ImportDestinationError, ModelFormatError
from apps.models.runtime.gguf import rope
from apps.models.runtime.gguf.config import read_shape
from apps.models.runtime.gguf.importer import import_gguf
from apps.models.runtime.gguf.names import map_tensors
from apps.models.runtime.gguf.reader import read_gguf
from apps.models.runtime.gguf.tensors import convert
from apps.models.runtime.tests.tiny import LAYERS, TinyModel, write_gguf

PROFILE = accelerator.prepare()
_BY_NAME = {name: architecture for architecture, name in MODEL_ARCH_NAMES.items()}
PROMPT = mx.array([[1, 40, 50, 60, 70, 2]])


def imported(folder: Path, model: TinyModel) -> tuple[Path, dict[str, np.ndarray]]:
    """The model folder, and the float32 weights the GGUF file meant."""
    weights = write_gguf(folder / "tiny.gguf", model)
    import_gguf(folder / "tiny.gguf", folder / "model")
    return folder / "model", weights


def loaded_weights(folder: Path) -> dict[str, np.ndarray]:
    model = loading.load(folder, PROFILE).model
    return {name: np.array(array) for name, array in tree_flatten(model.parameters())}


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "qwen3moe"])
@pytest.mark.parametrize("type_", [Type.Q4_0, Type.Q4_1, Type.Q8_0, Type.F16, Type.F32, Type.BF16])
def test_every_weight_survives_the_import_exactly(
    tmp_path: Path, architecture: str, type_: Type
) -> None:
    model = TinyModel(architecture, matrices=type_, embedding=type_)

    folder, meant = imported(tmp_path, model)

    found = loaded_weights(folder)
    assert found.keys() == meant.keys()
    for name, values in meant.items():
        # MLX fuses the multiply and the add of scale * q + bias: one rounding less.
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("type_", [Type.Q4_0, Type.Q8_0])
def test_symmetric_types_are_bit_for_bit_what_gguf_dequantises(tmp_path: Path, type_: Type) -> None:
    folder, meant = imported(tmp_path, TinyModel(matrices=type_, embedding=type_))

    found = loaded_weights(folder)

    for name, values in meant.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "qwen3moe"])
@pytest.mark.parametrize("tied", [True, False])
def test_logits_agree_with_a_model_of_the_same_weights(
    tmp_path: Path, architecture: str, tied: bool
) -> None:
    folder, meant = imported(tmp_path, TinyModel(architecture, tied=tied))
    plain, _ = load_model(_plain_copy(folder, meant))

    logits = loading.load(folder, PROFILE).model(PROMPT)

    np.testing.assert_allclose(np.array(logits), np.array(plain(PROMPT)), atol=1e-5)


def _plain_copy(folder: Path, weights: dict[str, np.ndarray]) -> Path:
    """A model folder that holds ``weights`` in float32, nothing quantised."""
    plain = folder.with_name("plain")
    plain.mkdir()
    config = json.loads((folder / "config.json").read_text())
    config.pop("quantization")
    (plain / "config.json").write_text(json.dumps(config))
    arrays = {name: mx.array(values) for name, values in weights.items()}
    mx.save_safetensors(str(plain / "model.safetensors"), arrays)
    return plain


def test_quantised_files_stay_quantised_with_each_layers_own_bits(tmp_path: Path) -> None:
    folder, _ = imported(tmp_path, TinyModel(matrices=Type.Q4_0, embedding=Type.Q8_0))

    quantization = json.loads((folder / "config.json").read_text())["quantization"]

    assert quantization == {
        "group_size": 32,
        "bits": 4,
        "model.embed_tokens": {"group_size": 32, "bits": 8},
    }


def test_five_bit_types_are_dequantised(tmp_path: Path) -> None:
    folder, meant = imported(tmp_path, TinyModel(matrices=Type.Q5_1, embedding=Type.Q5_0))

    found = loaded_weights(folder)

    for name, values in meant.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("type_", "size", "scales"),
    [(Type.Q4_K, 144, (0, 2)), (Type.Q6_K, 210, (208,)), (Type.Q3_K, 110, (108,))],
)
def test_k_quants_become_half_precision(type_: Type, size: int, scales: tuple[int, ...]) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (8, size), np.uint8)
    for offset in scales:
        blocks[:, offset : offset + 2] = np.array([0.01], np.float16).view(np.uint8)

    (half,) = convert(type_, blocks)

    np.testing.assert_allclose(half, dequantize(blocks, type_), rtol=1e-3)


def test_on_a_gpu_profile_an_import_computes_in_half_precision_throughout(tmp_path: Path) -> None:
    folder, _ = imported(tmp_path, TinyModel("qwen2"))
    gpu = accelerator.AcceleratorProfile("metal", "test", None, 0, None, compute_float32=False)

    model = loading.load(folder, gpu).model

    types = {array.dtype for _, array in tree_flatten(model.parameters())}
    assert types == {mx.float16, mx.uint32}
    assert model(PROMPT).dtype == mx.float16


def test_llama3_divisors_are_those_that_mlx_lm_applies() -> None:
    scaling = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }  # fmt: skip
    theirs = initialize_rope(128, 500_000.0, False, scaling)
    plain = 500_000.0 ** (np.arange(0, 128, 2) / 128)

    divisors = rope.llama3_divisors(head_dim=128, theta=500_000.0, factor=8.0)

    np.testing.assert_allclose(plain * divisors, np.array(theirs._freqs), rtol=1e-4)


def test_llama3_scaling_is_recovered_from_its_divisors(tmp_path: Path) -> None:
    divisors = rope.llama3_divisors(head_dim=16, theta=50_000.0, factor=8.0)
    model = TinyModel(extra={"rope_freqs.weight": divisors})
    folder, _ = imported(tmp_path, model)

    scaling = json.loads((folder / "config.json").read_text())["rope_scaling"]

    assert scaling == {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ({"rope_freqs.weight": np.linspace(1, 8, 8)}, "stretches its context"),
        ({"rope_freqs.weight": np.full(8, np.nan)}, "stretches its context"),
        ({"rope_freqs.weight": np.ones(3)}, "stretches its context"),
        ({"blk.0.ffn_gate_inp.weight": np.ones((4, 64))}, "ffn_gate_inp.weight' is not known"),
        ({"blk.0.attn_q.bias": np.ones(64)}, "attn_k.bias"),
    ],
)
def test_tensors_that_a_plain_model_does_not_have_are_refused(
    tmp_path: Path, extra: dict[str, np.ndarray], complaint: str
) -> None:
    write_gguf(tmp_path / "tiny.gguf", TinyModel(extra=extra))

    with pytest.raises(ModelFormatError, match=complaint):
        import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")


def test_settings_of_the_configuration_come_from_the_metadata(tmp_path: Path) -> None:
    model = TinyModel(
        "qwen3",
        metadata={
            "qwen3.rope.scaling.type": "yarn",
            "qwen3.rope.scaling.factor": 4.0,
            "qwen3.rope.scaling.original_context_length": 128,
        },
    )
    folder, _ = imported(tmp_path, model)

    config = json.loads((folder / "config.json").read_text())

    assert config["rope_theta"] == 50_000.0
    assert config["rms_norm_eps"] == 1e-6
    assert config["head_dim"] == 32
    assert config["max_position_embeddings"] == 512
    assert config["tie_word_embeddings"] is True
    assert config["eos_token_id"] == [2, 0]
    assert config["rope_scaling"] == {
        "type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 128,
    }


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"llama.expert_count": 8}, "mixture of experts"),
        ({"llama.expert_shared_count": 1}, "experts that all tokens share"),
        ({"llama.attention.sliding_window": 128}, "sliding window"),
        ({"split.count": 3}, "one part of several"),
        ({"llama.rope.dimension_count": 8}, "attention heads"),
        ({"llama.rope.scaling.type": "longrope"}, "longrope"),
        ({"tokenizer.ggml.model": "t5"}, "kind 't5'"),
        ({"tokenizer.ggml.pre": "never-heard-of"}, "never-heard-of"),
        ({"llama.block_count": 3}, "lacks"),
        ({"llama.block_count": 1}, "blk.1."),
        ({"llama.attention.head_count": "four"}, "head_count"),
        ({"llama.attention.head_count_kv": 3}, "do not divide"),
        ({"llama.rope.freq_base": float("nan")}, "freq_base"),
        ({"llama.context_length": None}, "is missing"),
        ({"tokenizer.ggml.merges": ["h zz"]}, "merge rule"),
        ({"tokenizer.ggml.tokens": ["a"] * 320}, "tokens"),
        ({"tokenizer.ggml.token_type": [1, 2, 3]}, "token types"),
        ({"tokenizer.ggml.eos_token_id": 4000}, "eos_token_id"),
    ],
)
def test_a_model_that_would_compute_differently_is_refused(
    tmp_path: Path, metadata: dict[str, object], complaint: str
) -> None:
    write_gguf(tmp_path / "tiny.gguf", TinyModel(metadata=metadata))

    with pytest.raises(ModelFormatError, match=complaint):
        import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")

    assert [file.name for file in tmp_path.iterdir()] == ["tiny.gguf"]


def test_an_unknown_family_is_refused_by_name(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf", TinyModel("mamba"))

    with pytest.raises(ModelFormatError, match="family 'mamba'"):
        import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")


def test_names_in_the_metadata_never_become_paths(tmp_path: Path) -> None:
    hostile = "../../escape"
    metadata = {"general.name": hostile, "general.license": hostile}
    write_gguf(tmp_path / "tiny.gguf", TinyModel(metadata=metadata))

    import_gguf(tmp_path / "tiny.gguf", tmp_path / "inner" / "model")

    written = {path.name for path in tmp_path.rglob("*")}
    assert written == {
        "tiny.gguf", "inner", "model", "config.json", "generation_config.json",
        "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


def test_an_existing_folder_is_never_overwritten(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").touch()

    with pytest.raises(ImportDestinationError, match="exists already"):
        import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")

    assert [file.name for file in (tmp_path / "model").iterdir()] == ["mine"]


def test_progress_rises_from_reading_to_the_last_weight(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    heard: list[tuple[str, float]] = []

    import_gguf(tmp_path / "tiny.gguf", tmp_path / "model", lambda *step: heard.append(step))

    weights = [fraction for stage, fraction in heard if stage == "converting weights"]
    assert heard[0] == ("reading", 0.0)
    assert weights == sorted(weights)
    assert weights[-1] == 1.0


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "qwen3moe"])
def test_every_tensor_has_the_name_that_llama_cpps_converter_gives_it(
    tmp_path: Path, architecture: str
) -> None:
    write_gguf(tmp_path / "tiny.gguf", TinyModel(architecture))
    file = read_gguf(tmp_path / "tiny.gguf")
    theirs = get_tensor_name_map(_BY_NAME[architecture], LAYERS)

    for mapped in map_tensors(file, read_shape(file)):
        # mlx-lm stacks the experts under a name of its own.
        published = mapped.name.replace("switch_mlp", "experts")
        assert theirs.get_name(published, (".weight", ".bias")) == mapped.source.name
