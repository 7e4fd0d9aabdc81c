"""A model folder's tokenizer by itself, for work that needs no weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.models.runtime.context import context_length
from apps.models.runtime.embedding.description import EmbeddingDescription, describe_embedding
from apps.models.runtime.errors import ModelFormatError, ModelLoadError
from apps.models.runtime.headers import read_json
from apps.models.runtime.loading import read_tokenizer


@dataclass(frozen=True)
class FolderTokenizer:
    """A tokenizer and what its folder says of the texts it is for."""

    tokenizer: Any
    """mlx-lm's wrapper of a transformers tokenizer."""
    context_length: int
    """Longest context in tokens."""
    embedding: EmbeddingDescription | None
    """How the folder's model makes vectors; None for one that generates text."""

    @property
    def backend(self) -> Any:
        """The tokenizers library's own, which never cuts or pads."""
        return self.tokenizer.backend_tokenizer


def load_folder_tokenizer(folder: Path) -> FolderTokenizer:
    """Read the tokenizer of the model in ``folder``. Raises ModelLoadError."""
    try:
        config = read_json(folder / "config.json")
        embedding = describe_embedding(folder, config)
    except ModelFormatError as error:
        raise ModelLoadError(str(error)) from error
    tokenizer = read_tokenizer(folder, config)
    # Some tokenizer.json files carry the limits of whoever saved them.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    length_of = embedding.context_length if embedding else context_length
    limit = getattr(tokenizer, "model_max_length", None)
    return FolderTokenizer(tokenizer, length_of(config, limit), embedding)
