"""Tiny random-weight embedding models on disk, and a forward pass of BERT in NumPy.

The forward pass shares no code with the encoder: it reads the file with safetensors'
own reader and follows the paper (Devlin et al. 2018) in float64.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from safetensors.numpy import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from apps.models.runtime.embedding.bert import Encoder, EncoderConfig

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "cat", "sat", "on", "the", "mat", "query", ":"]
CONTEXT = 64

CONFIG: dict[str, Any] = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "vocab_size": len(WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": CONTEXT,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "hidden_act": "gelu",
    "pad_token_id": 0,
}

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]  # fmt: skip


def write_encoder(
    folder: Path,
    *,
    pooling: str = "mean_tokens",
    modules: list[dict[str, Any]] = MODULES,
    seed: int = 0,
    **config: Any,
) -> Path:
    """A folder as sentence-transformers saves it. The same seed gives the same files."""
    folder.mkdir(parents=True)
    settings = CONFIG | config
    mx.random.seed(seed)
    encoder = Encoder(EncoderConfig.read(settings))
    weights = {
        name: mx.random.normal(array.shape) * 0.3
        for name, array in tree_flatten(encoder.parameters())
    }
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    _write(folder / "config.json", settings)
    write_description(folder, pooling=pooling, modules=modules)
    write_tokenizer(folder)
    return folder


def write_description(
    folder: Path, *, pooling: str = "mean_tokens", modules: list[dict[str, Any]] = MODULES
) -> None:
    """What makes a folder an embedding model's."""
    (folder / "1_Pooling").mkdir()
    _write(folder / "1_Pooling" / "config.json", {f"pooling_mode_{pooling}": True})
    if modules:
        _write(folder / "modules.json", modules)


def write_tokenizer(folder: Path) -> None:
    """Words, with a beginning and an end around each text, and limits that are not to hold."""
    words = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.add_special_tokens(WORDS[:4])
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8, pad_token="[PAD]")
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]"},
    )


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content))


class NumpyBert:
    """States of one text at a time."""

    def __init__(self, folder: Path) -> None:
        self.config = json.loads((folder / "config.json").read_text())
        weights = load_file(folder / "model.safetensors")
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}

    def states(self, tokens: list[int], *, offset: int = 0) -> np.ndarray:
        """The last layer's, shape (tokens, hidden size)."""
        places = np.arange(len(tokens)) + offset
        x = (
            self.weights["embeddings.word_embeddings.weight"][tokens]
            + self.weights["embeddings.position_embeddings.weight"][places]
            + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        x = self._norm("embeddings.LayerNorm", x)
        for layer in range(self.config["num_hidden_layers"]):
            at = f"encoder.layer.{layer}"
            attended = self._linear(f"{at}.attention.output.dense", self._attention(at, x))
            x = self._norm(f"{at}.attention.output.LayerNorm", attended + x)
            inner = _gelu(self._linear(f"{at}.intermediate.dense", x))
            x = self._norm(f"{at}.output.LayerNorm", self._linear(f"{at}.output.dense", inner) + x)
        return x

    def _attention(self, at: str, x: np.ndarray) -> np.ndarray:
        q, k, v = (
            self._linear(f"{at}.attention.self.{name}", x) for name in ("query", "key", "value")
        )
        heads = self.config["num_attention_heads"]
        size = x.shape[-1] // heads
        parts = []
        for head in range(heads):
            of = slice(head * size, (head + 1) * size)
            scores = q[:, of] @ k[:, of].T / math.sqrt(size)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            parts.append(weights / weights.sum(axis=-1, keepdims=True) @ v[:, of])
        return np.concatenate(parts, axis=-1)

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(variance + self.config["layer_norm_eps"])
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2
