"""The starter model in each type that GGUF knows: its logits stay as near as the type allows.

The float weights are what the starter model's own file means. A type of 256 weights
to a block fits its 1,536-wide matrices alone (llama.cpp falls back to another type for
the 576-wide ones); all other tensors are copied as they are, so that what is measured
is that type's error and nothing else. Four layers are enough for errors to build up.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from gguf import GGML_QUANT_SIZES, GGUFReader, GGUFValueType, GGUFWriter
from gguf import GGMLQuantizationType as Type
from gguf.quants import dequantize
from mlx.utils import tree_flatten

from apps.models.runtime import accelerator, loading
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.importer import import_gguf
from apps.models.runtime.starter import find_starter
from apps.models.runtime.tests.encoders import encode
from apps.models.runtime.tests.tiny import TinyModel, permute, write_gguf

GGUF = find_starter()
PROFILE = accelerator.prepare()
PROMPT = "The capital of France is Paris. Water boils at one hundred degrees, and then"

LAYERS = 4

# The largest relative error (root mean square) that a type may have: of the weights, and of
# the logits, which these layers do not enlarge.
ERROR = {
    Type.F32: 1e-6, Type.F16: 3e-4, Type.BF16: 2e-3, Type.Q8_0: 0.007,
    Type.Q6_K: 0.03, Type.Q5_K: 0.055, Type.Q5_1: 0.055, Type.Q5_0: 0.055,
    # The starter model's own type comes back as it was, and Q4_K's finer scales come close.
    Type.Q4_1: 1e-6, Type.Q4_K: 0.025, Type.Q4_0: 0.11, Type.IQ4_NL: 0.1, Type.IQ4_XS: 0.1,
    Type.MXFP4: 0.15, Type.NVFP4: 0.12, Type.Q3_K: 0.22, Type.Q2_K: 0.4,
    Type.IQ3_S: 0.17, Type.IQ3_XXS: 0.24, Type.IQ2_S: 0.32, Type.IQ2_XS: 0.37, Type.IQ2_XXS: 0.43,
    Type.IQ1_M: 0.6, Type.IQ1_S: 0.7, Type.TQ2_0: 0.9, Type.TQ1_0: 0.9,
}  # fmt: skip

# Searched in codebooks, or too coarse for whole models: one layer tells enough.
SOME = {
    Type.IQ1_S, Type.IQ1_M, Type.IQ2_XXS, Type.IQ2_XS, Type.IQ2_S, Type.IQ3_XXS, Type.IQ3_S,
    Type.TQ1_0, Type.TQ2_0,
}  # fmt: skip
SOME_LAYERS = {2}
SOME_SHARE = len(SOME_LAYERS) / LAYERS
"""What is left of such a type's bound for the logits."""

NAMES = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}  # fmt: skip


@pytest.fixture(scope="module")
def original() -> GGUFReader:
    return GGUFReader(GGUF)


@pytest.fixture(scope="module")
def float_logits(original: GGUFReader, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Logits of the float weights, shape (tokens, vocabulary)."""
    folder = tmp_path_factory.mktemp("float")
    requantised(original, Type.F32, folder / "starter.gguf")
    import_gguf(folder / "starter.gguf", folder / "model")
    return logits(loading.load(folder / "model", PROFILE))


def logits(loaded: loading.LoadedModel) -> np.ndarray:
    ids = loaded.tokenizer.encode(PROMPT)
    return np.array(loaded.model(mx.array([ids]))[0].astype(mx.float32))


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone after the test: pytest would keep gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@dataclass(frozen=True)
class Matrix:
    """A matrix that was requantised: its values before, and what the file means now."""

    before: np.ndarray
    meant: np.ndarray


def requantised(reader: GGUFReader, type_: Type, path: Path) -> dict[str, Matrix]:
    """Write the model with ``type_`` where it fits; what was changed, by name."""
    writer = GGUFWriter(path, "llama")
    for key, found in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            inner = found.types[1] if found.types[0] == GGUFValueType.ARRAY else None
            value = LAYERS if key == "llama.block_count" else found.contents()
            writer.add_key_value(key, value, found.types[0], inner)
    changed = {}
    for tensor in reader.tensors:
        if layer_of(tensor.name) >= LAYERS:
            continue
        if is_changed(tensor.name, int(tensor.shape[0]), type_):
            before = dequantize(tensor.data, tensor.tensor_type)
            raw = encode(before, type_)
            writer.add_tensor(tensor.name, raw, raw_dtype=type_)
            changed[tensor.name] = Matrix(before, meaning(raw, type_))
        else:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return changed


def meaning(raw: np.ndarray, type_: Type) -> np.ndarray:
    return raw if type_ == Type.F32 else dequantize(raw, type_)


def layer_of(name: str) -> int:
    return int(name.split(".")[1]) if name.startswith("blk.") else 0


def is_changed(name: str, columns: int, type_: Type) -> bool:
    if not name.startswith("blk.") or "norm" in name or columns % GGML_QUANT_SIZES[type_][0]:
        return False
    return type_ not in SOME or layer_of(name) in SOME_LAYERS


def relative(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def loaded_matrix(weights: dict[str, mx.array], name: str) -> np.ndarray:
    """A loaded matrix under GGUF's name, its rows in GGUF's order."""
    _, layer, part, _ = name.split(".")
    values = np.array(weights[f"model.layers.{layer}.{NAMES[part]}.weight"])
    heads = {"attn_q": 9, "attn_k": 3}.get(part)
    return permute(values, heads) if heads else values


@pytest.mark.starter
@pytest.mark.skipif(GGUF is None, reason="the starter model's package is not installed")
@pytest.mark.parametrize("type_", ERROR, ids=lambda type_: type_.name)
def test_logits_of_the_starter_model_are_within_the_types_error(
    type_: Type, original: GGUFReader, float_logits: np.ndarray, scratch: Path
) -> None:
    changed = requantised(original, type_, scratch / "starter.gguf")
    import_gguf(scratch / "starter.gguf", scratch / "model")

    loaded = loading.load(scratch / "model", PROFILE)

    weights = dict(tree_flatten(loaded.model.parameters()))
    for name, matrix in changed.items():
        # Half precision keeps 11 bits; what it can't hold is tiny beside the largest.
        found = loaded_matrix(weights, name)
        np.testing.assert_allclose(found, matrix.meant, rtol=2**-11, atol=1e-6, err_msg=name)
    before = np.concatenate([m.before.ravel() for m in changed.values()])
    weight_error = relative(np.concatenate([m.meant.ravel() for m in changed.values()]), before)
    logit_error = relative(logits(loaded), float_logits)
    assert weight_error <= ERROR[type_]
    assert logit_error <= ERROR[type_] * (SOME_SHARE if type_ in SOME else 1)


@pytest.mark.parametrize("type_", [Type.Q8_1, Type.Q8_K, Type.Q1_0, Type.I8, Type.F64])
def test_a_type_that_no_reader_knows_is_refused_by_name_before_anything_is_written(
    type_: Type, tmp_path: Path
) -> None:
    block, nbytes = GGML_QUANT_SIZES[type_]
    model = TinyModel(hidden=256, inner=256)
    raw = np.zeros((256, 256 // block * nbytes), np.uint8)
    write_gguf(tmp_path / "tiny.gguf", model, {"blk.1.ffn_down.weight": (raw, type_)})

    with pytest.raises(ModelFormatError, match=rf"type {type_.name}\b"):
        import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")

    assert [file.name for file in tmp_path.iterdir()] == ["tiny.gguf"]


def test_every_type_of_the_gguf_package_is_read_or_refused_by_name() -> None:
    refused = {Type.Q8_1, Type.Q8_K, Type.Q1_0, Type.F64, Type.I8, Type.I16, Type.I32, Type.I64}

    assert set(Type) == set(ERROR) | refused
