from __future__ import annotations

import io
import json
from pathlib import Path

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from apps.models.runtime import accelerator, loading
from apps.models.runtime.errors import ModelLoadError
from apps.models.runtime.gguf.importer import import_gguf
from apps.models.runtime.tests.tiny import write_gguf

CPU = accelerator.AcceleratorProfile("cpu", "test", "mkl", 0, None, compute_float32=True)
GPU = accelerator.AcceleratorProfile("metal", "test", None, 0, None, compute_float32=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_gguf(tmp_path / "tiny.gguf")
    import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")
    return tmp_path / "model"


def test_on_a_cpu_everything_becomes_float32(folder: Path) -> None:
    loaded = loading.load(folder, CPU)

    arrays = [array for _, array in tree_flatten(loaded.model.parameters())]
    assert {array.dtype for array in arrays} == {mx.float32}
    assert loaded.weights_bytes == sum(array.nbytes for array in arrays)


def test_on_a_gpu_packed_weights_stay_packed(folder: Path) -> None:
    weights = dict(tree_flatten(loading.load(folder, GPU).model.parameters()))

    assert weights["model.embed_tokens.weight"].dtype == mx.uint32


def test_a_model_comes_with_its_tokenizer_and_context(folder: Path) -> None:
    loaded = loading.load(folder, CPU)

    assert loaded.context_length == 512
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("hello wo")) == "hello wo"
    assert loaded.tokenizer.eos_token_ids == {0, 2}
    assert loaded.config["model_type"] == "llama"


def test_the_random_generator_holds_on_to_nothing_of_a_load(folder: Path) -> None:
    loading.load(folder, CPU)

    drawings = io.StringIO()
    mx.export_to_dot(drawings, *mx.random.state)
    assert "RandomBits" not in drawings.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{"),
        ("config.json", '{"model_type": "never-heard-of"}'),
        ("config.json", "[]"),
        ("config.json", '{"model_type": "llama"}'),
        ("config.json", '{"model_type": "../../os"}'),
        ("model.safetensors", "not weights"),
        ("tokenizer.json", "{"),
        ("tokenizer.json", "{}"),
    ],
)
def test_a_damaged_folder_ends_in_one_error_with_its_cause(
    folder: Path, name: str, content: str
) -> None:
    (folder / name).write_text(content)

    with pytest.raises(ModelLoadError, match="could not be loaded") as caught:
        loading.load(folder, CPU)

    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_ends_in_one_error(folder: Path, name: str) -> None:
    (folder / name).unlink()

    with pytest.raises(ModelLoadError):
        loading.load(folder, CPU)


def test_code_that_comes_with_a_model_is_not_run(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_file": "evil.py"}))

    with pytest.raises(ModelLoadError, match="never run here"):
        loading.load(folder, CPU)


def test_tokenizer_code_that_comes_with_a_model_is_not_run(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))

    with pytest.raises(ModelLoadError):
        loading.load(folder, CPU)


def test_weights_that_do_not_fit_the_configuration_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))

    with pytest.raises(ModelLoadError):
        loading.load(folder, CPU)
