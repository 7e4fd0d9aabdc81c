"""What the model sees of a row: tokens, which of them are learnt, and where they are cut.

The tokens are those of ``mlx_lm.tuner.datasets``, one for one, and a test compares them. It
is written again here because importing it would bring MLX into the pages' process.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from apps.datasets.formats.errors import NoTokens
from apps.datasets.formats.statistics import Bar, histogram

_FAILURES = (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError)
"""What chat templates and tokenizers raise on rows that they don't fit; jinja2's errors are
RuntimeErrors in none of its versions, so they are added where jinja2 is there anyway."""

_LOAD_FAILURES = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError)

_THINK_MARKS = (
    ("<think>", "</think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<|think:start|>", "<|think:end|>"),
    ("<|channel>", "<channel|>"),
)
_THINK_PARTS = ("<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>")


@dataclass(frozen=True)
class Token:
    """One token as it is shown."""

    id: int
    text: str
    """Its part of the text; empty for a further byte of a character."""
    is_special: bool
    is_learnt: bool
    is_cut: bool
    """Whether it is behind the length limit."""


@dataclass(frozen=True)
class Seen:
    """A row as the model sees it."""

    tokens: list[Token]
    limit: int

    @property
    def length(self) -> int:
        return len(self.tokens)

    @property
    def learnt(self) -> int:
        return sum(token.is_learnt and not token.is_cut for token in self.tokens)

    @property
    def cut(self) -> int:
        return max(len(self.tokens) - self.limit, 0)


class RowTokenizer:
    """A model folder's tokenizer, as mlx-lm trains with it."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._options = _template_options(tokenizer)
        added = tokenizer.added_tokens_decoder.items()
        self._special = {id_ for id_, token in added if token.special}

    def process(self, row: dict[str, Any], *, mask_prompt: bool) -> tuple[list[int], int]:
        """The tokens of a row and the index of the first one to learn. Raises NoTokens."""
        try:
            return self._process(row, mask_prompt)
        except _row_failures() as error:
            raise NoTokens(
                f"The model's chat template does not take this row: {_first_line(error)}. Correct "
                "the row, or choose another model."
            ) from error

    def see(self, row: dict[str, Any], *, mask_prompt: bool, limit: int) -> Seen:
        """The row as it is shown. Raises NoTokens."""
        ids, offset = self.process(row, mask_prompt=mask_prompt)
        texts = self._texts(row, ids)
        return Seen(
            [
                # The first token of a row is never predicted.
                Token(id_, text, id_ in self._special, place >= max(offset, 1), place >= limit)
                for place, (id_, text) in enumerate(zip(ids, texts, strict=True))
            ],
            limit,
        )

    def _process(self, row: dict[str, Any], mask_prompt: bool) -> tuple[list[int], int]:
        messages = _messages(row)
        if messages is None:
            ids: list[int] = self._tokenizer.encode(row["text"])
            if not ids or ids[-1] != self._tokenizer.eos_token_id:
                ids.append(self._tokenizer.eos_token_id)
            return ids, 0
        tools = row.get("tools")
        ids = self._template(messages, tools, tokenize=True)
        if not mask_prompt:
            return ids, 0
        last_is_answer = messages[-1].get("role") == "assistant"
        prompt = self._template(
            messages[:-1], tools, tokenize=True, add_generation_prompt=last_is_answer
        )
        return ids, len(prompt)

    def _template(self, messages: Any, tools: Any, **options: Any) -> Any:
        return self._tokenizer.apply_chat_template(
            messages, tools=tools, return_dict=False, **options, **self._options
        )

    def _texts(self, row: dict[str, Any], ids: list[int]) -> list[str]:
        """The part of the exact text that each token stands for."""
        messages = _messages(row)
        text = (
            row["text"]
            if messages is None
            else self._template(messages, row.get("tools"), tokenize=False)
        )
        encoded = self._tokenizer(
            text, add_special_tokens=messages is None, return_offsets_mapping=True
        )
        if list(encoded["input_ids"]) != ids[: len(encoded["input_ids"])]:
            return [self._tokenizer.decode([id_]) for id_ in ids]
        texts = _spelt(text, [end for _, end in encoded["offset_mapping"]])
        # What stands for no text is shown by its name: tokens that the tokenizer puts around it.
        names = self._tokenizer.convert_ids_to_tokens(ids)
        texts += names[len(texts) :]
        return [
            shown or (name if id_ in self._special else "")
            for shown, name, id_ in zip(texts, names, ids, strict=True)
        ]


def learnt_rows(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The rows that the model sees of one, by what they are to it: of a pair both answers.

    Each of a pair's is the conversation that ends in that answer; all else is itself, as "".
    """
    if "chosen" not in row or "rejected" not in row:
        return {"": row}
    prompt = row.get("prompt") or ""
    asked = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    return {
        side: {"messages": [*asked, {"role": "assistant", "content": row[side]}]}
        for side in ("chosen", "rejected")
    }


@dataclass(frozen=True)
class Lengths:
    """The token lengths of many rows, and what a limit does to them."""

    rows: int
    """Rows that could be made tokens of."""
    failed: int
    tokens: int
    longest: int
    median: int
    truncated: int
    """Rows longer than the limit."""
    lost: int
    """Tokens behind it."""
    bars: list[Bar]
    padding: dict[str, float]
    """By batch size, the share of a batch that is padding where rows of like lengths share one."""


def lengths_of(counts: Sequence[int], *, failed: int, limit: int) -> Lengths:
    """Figures of token counts."""
    values = pl.Series("tokens", counts, dtype=pl.Int64)
    cut = (values - limit).clip(0)
    return Lengths(
        rows=len(values),
        failed=failed,
        tokens=int(values.sum()),
        longest=int(values.max() or 0),  # type: ignore[arg-type]
        median=int(values.median() or 0),  # type: ignore[arg-type]
        truncated=int((values > limit).sum()),
        lost=int(cut.sum()),
        bars=histogram(values),
        padding={str(size): _padding(values.clip(0, limit), size) for size in (1, 2, 4, 8, 16)},
    )


def load_tokenizer(folder: Path) -> RowTokenizer:
    """The tokenizer of a model folder, without its weights. Raises NoTokens."""
    from transformers import AutoTokenizer  # a second of every process that imports it

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except _LOAD_FAILURES as error:
        raise NoTokens(
            f"The tokenizer in {folder.name} can't be read: {_first_line(error)}."
        ) from error
    if tokenizer.init_kwargs.get("chat_template_type"):
        raise NoTokens(
            "This model's chat format is code of mlx-lm rather than a template, which is not "
            "shown here. It can be trained all the same."
        )
    return RowTokenizer(tokenizer)


def _messages(row: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The conversation of a row; None for a text. Raises KeyError where it is neither."""
    if "prompt" in row and "completion" in row:
        return [
            {"role": "user", "content": row["prompt"]},
            {"role": "assistant", "content": row["completion"]},
        ]
    if "messages" in row:
        messages: list[dict[str, Any]] = row["messages"]
        return messages
    if "text" in row:
        return None
    raise KeyError("messages, prompt and completion, or text")


def _template_options(tokenizer: Any) -> dict[str, bool]:
    """mlx-lm tells templates whether the model thinks (tokenizer_utils.TokenizerWrapper)."""
    vocabulary = tokenizer.get_vocab()
    thinks = any(start in vocabulary and end in vocabulary for start, end in _THINK_MARKS) or all(
        part in vocabulary for part in _THINK_PARTS
    )
    parameters = inspect.signature(type(tokenizer).apply_chat_template).parameters
    own = "thinking" in parameters and "enable_thinking" not in parameters
    return {"thinking" if own else "enable_thinking": thinks}


def _spelt(text: str, ends: list[int]) -> list[str]:
    """Text by token; what no token spans goes to the next one, so that nothing is left out."""
    texts: list[str] = []
    done = 0
    for end in ends:
        texts.append(text[done:end])
        done = max(done, end)
    if texts:
        texts[-1] += text[done:]
    return texts


def _padding(lengths: pl.Series, size: int) -> float:
    """The padded share of batches of ``size`` rows of like lengths, as the trainer makes them."""
    ordered = lengths.sort().to_list()
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    wide = sum(max(batch) * len(batch) for batch in batches)
    return 1 - sum(ordered) / wide if wide else 0.0


def _row_failures() -> tuple[type[Exception], ...]:
    from jinja2 import TemplateError

    return (*_FAILURES, TemplateError)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(".")
