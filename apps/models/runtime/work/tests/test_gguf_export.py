from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from apps.models.runtime import accelerator, loading
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.importer import import_gguf
from apps.models.runtime.work.gguf_export import export_gguf
from apps.models.runtime.work.orders import GgufOrder
from apps.models.runtime.work.tests.conftest import ignore, tiny_folder

PROFILE = accelerator.prepare()
TEXT = "hello world 12345 <|im_start|>x"


def exported(source: Path) -> Path:
    destination = source.with_name("export.gguf")
    figures = export_gguf(GgufOrder(source=source, destination=destination), ignore)
    assert figures.size_bytes == destination.stat().st_size
    return destination


@pytest.mark.parametrize(
    ("architecture", "pre", "tied"),
    [("llama", "smollm", True), ("llama", "llama-bpe", False), ("qwen2", "qwen2", True),
     ("qwen3", "qwen2", False)],
)  # fmt: skip
def test_an_export_imports_as_the_same_model(
    tmp_path: Path, architecture: str, pre: str, tied: bool
) -> None:
    source = tiny_folder(tmp_path / "tiny", architecture=architecture, pre=pre, tied=tied)

    back = tmp_path / "back"
    import_gguf(exported(source), back)

    first, second = (loading.load(folder, PROFILE) for folder in (source, back))
    tokens = first.tokenizer.encode(TEXT)
    assert second.tokenizer.encode(TEXT) == tokens
    assert second.tokenizer.chat_template == first.tokenizer.chat_template
    assert second.tokenizer.eos_token_ids == first.tokenizer.eos_token_ids
    ids = mx.array([tokens])
    np.testing.assert_array_equal(np.array(first.model(ids)), np.array(second.model(ids)))


def test_llama_3_keeps_its_stretched_context(source: Path) -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"rope_scaling": scaling}))

    back = source.with_name("back")
    import_gguf(exported(source), back)

    assert json.loads((back / "config.json").read_text())["rope_scaling"] == scaling


def test_a_family_that_can_not_be_written_is_refused_and_leaves_nothing(source: Path) -> None:
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"model_type": "mistral3"}))
    before = set(source.parent.iterdir())

    with pytest.raises(Exception, match=r"mistral3|read by mlx-lm"):
        exported(source)

    assert set(source.parent.iterdir()) == before


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"type": "Unigram", "vocab": []}},
        {"pre_tokenizer": {"type": "Whitespace"}},
        {"normalizer": {"type": "NFC"}},
    ],
)
def test_a_tokenizer_that_gguf_has_no_name_for_is_refused(
    source: Path, change: dict[str, object]
) -> None:
    file = source / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))

    with pytest.raises(ModelFormatError, match="Export the folder instead"):
        exported(source)
