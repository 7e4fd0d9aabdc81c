"""How long a model's context is, as its own files tell."""

from __future__ import annotations

from typing import Any

DEFAULT_CONTEXT = 4096
"""Tokens assumed where neither the configuration nor the tokenizer sets a limit."""

# transformers writes about 1e30 where a tokenizer knows no limit.
_NO_LIMIT = 10**9

_KEYS = ("max_position_embeddings", "max_seq_len", "n_positions", "seq_length", "n_ctx")


def context_length(config: dict[str, Any], tokenizer_limit: Any = None) -> int:
    """Longest context in tokens: the smaller of what weights and tokenizer were made for.

    ``config`` is config.json, ``tokenizer_limit`` the tokenizer's model_max_length.
    """
    text = config.get("text_config")
    sources = [config, text] if isinstance(text, dict) else [config]
    trained = [source[key] for source in sources for key in _KEYS if _limit(source.get(key))]
    limits = [*trained[:1], *([int(tokenizer_limit)] if _limit(tokenizer_limit) else [])]
    return min(limits, default=DEFAULT_CONTEXT)


def _limit(value: Any) -> bool:
    """A number of tokens that means something."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _NO_LIMIT
