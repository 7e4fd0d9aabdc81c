"""Tokenizers of the models that are here, kept while they are asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from apps.datasets.formats.tokens import RowTokenizer, load_tokenizer
from apps.models.models import LocalModel


def tokenizer_of(model: LocalModel) -> RowTokenizer:
    """A model's tokenizer. Raises NoTokens where it has none that can be read."""
    return _tokenizer(model.path, model.digest)


@lru_cache(maxsize=2)
def _tokenizer(path: str, digest: str) -> RowTokenizer:
    """A tokenizer takes a second to read and some tens of megabytes to keep."""
    return load_tokenizer(Path(path))
