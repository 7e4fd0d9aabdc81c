"""Whether two models mean the same text by every token, as their files tell.

Reads ``tokenizer.json`` as the tokenizers library writes it, and nothing else; the
engine compares the loaded tokenizers before it relies on it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.headers import read_json

Vocabulary = dict[str, int]
"""Token to number."""


def same_vocabulary(first: Path, second: Path) -> bool | None:
    """Whether the models in these folders share their vocabulary; None where that is not told."""
    one, other = _read(first), _read(second)
    return None if one is None or other is None else one == other


def _read(folder: Path) -> Vocabulary | None:
    """The vocabulary with its added tokens; None without a tokenizer.json that names it."""
    try:
        content = read_json(folder / "tokenizer.json")
        return _tokens(content["model"]["vocab"]) | {
            added["content"]: added["id"] for added in content.get("added_tokens", ())
        }
    except (ModelFormatError, KeyError, TypeError, AttributeError):
        return None


def _tokens(vocabulary: Any) -> Vocabulary:
    """BPE and WordPiece write token to number, Unigram a list of tokens and scores."""
    if isinstance(vocabulary, list):
        return {token: number for number, (token, _) in enumerate(vocabulary)}
    return dict(vocabulary)
