from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.models.runtime.vocabulary import same_vocabulary


def folder(path: Path, vocab: Any, *added: tuple[int, str]) -> Path:
    path.mkdir()
    tokens = [{"id": number, "content": text} for number, text in added]
    content = {"model": {"vocab": vocab}, "added_tokens": tokens}
    (path / "tokenizer.json").write_text(json.dumps(content))
    return path


def test_equal_tokens_with_equal_numbers_are_the_same_vocabulary(tmp_path: Path) -> None:
    first = folder(tmp_path / "a", {"a": 0, "b": 1}, (2, "<|end|>"))
    assert same_vocabulary(first, folder(tmp_path / "b", {"b": 1, "a": 0}, (2, "<|end|>")))


@pytest.mark.parametrize(
    ("vocab", "added"),
    [({"a": 0, "b": 2}, ()), ({"a": 0}, ()), ({"a": 0, "b": 1}, ((2, "<|end|>"),))],
)
def test_another_number_or_token_is_another_vocabulary(
    tmp_path: Path, vocab: Any, added: Any
) -> None:
    first = folder(tmp_path / "a", {"a": 0, "b": 1})
    assert same_vocabulary(first, folder(tmp_path / "b", vocab, *added)) is False


def test_unigram_vocabularies_number_their_tokens_by_place(tmp_path: Path) -> None:
    first = folder(tmp_path / "a", [["a", -1.0], ["b", -2.0]])
    assert same_vocabulary(first, folder(tmp_path / "b", [["a", -1.5], ["b", -2.0]]))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"model": {"vocab": 3}}'])
def test_a_tokenizer_that_does_not_tell_is_not_judged(tmp_path: Path, content: str) -> None:
    first = folder(tmp_path / "a", {"a": 0})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "tokenizer.json").write_text(content)
    assert same_vocabulary(first, tmp_path / "b") is None
    assert same_vocabulary(first, tmp_path / "absent") is None
