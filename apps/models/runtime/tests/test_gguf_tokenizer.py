"""A rebuilt tokenizer cuts and joins text as the model's own does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from apps.models.runtime.gguf.config import read_shape
from apps.models.runtime.gguf.pretokenizers import KNOWN
from apps.models.runtime.gguf.reader import read_gguf
from apps.models.runtime.gguf.tokenizer import build_tokenizer
from apps.models.runtime.gguf.vocabulary import read_vocabulary
from apps.models.runtime.tests.tiny import TOKENS, TinyModel, write_gguf


def tokenizer_for(folder: Path, **model: object) -> Tokenizer:
    write_gguf(folder / "tiny.gguf", TinyModel(**model))  # type: ignore[arg-type]
    file = read_gguf(folder / "tiny.gguf")
    return build_tokenizer(read_vocabulary(file, read_shape(file)))


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    return {pre: tokenizer_for(tmp_path_factory.mktemp("gguf"), pre=pre) for pre in KNOWN}


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    return [text[slice(*span)] for _, span in tokenizer.pre_tokenizer.pre_tokenize_str(text)]


@given(st.text())
def test_decoding_what_was_encoded_gives_the_text_back(
    tokenizers: dict[str, Tokenizer], text: str
) -> None:
    for tokenizer in tokenizers.values():
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        expected = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
        assert tokenizer.decode(ids, skip_special_tokens=False) == expected


@pytest.mark.parametrize(
    ("pre", "expected"),
    [
        ("smollm", ["it", "'s", " ", "1", "2", "3", "4", " Ok", "\n\n"]),
        ("gpt-2", ["it", "'s", " 1234", " Ok", "\n\n"]),
        ("llama-bpe", ["it", "'s", " ", "123", "4", " Ok", "\n\n"]),
        ("qwen2", ["it", "'s", " ", "1", "2", "3", "4", " Ok", "\n\n"]),
        ("tekken", ["it", "'s", " ", "1", "2", "3", "4", " Ok", "\n\n"]),
    ],
)
def test_each_pre_tokeniser_cuts_words_its_own_way(
    tokenizers: dict[str, Tokenizer], pre: str, expected: list[str]
) -> None:
    assert words(tokenizers[pre], "it's 1234 Ok\n\n") == expected


def test_merges_apply_in_their_order(tokenizers: dict[str, Tokenizer]) -> None:
    assert tokenizers["smollm"].encode("hello wo").tokens == ["hello", "Ġwo"]


def test_control_tokens_are_found_in_text_and_are_no_text(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["smollm"]

    ids = tokenizer.encode("<|im_start|>he<|im_end|>").ids

    assert ids == [1, TOKENS.index("he"), 2]
    assert tokenizer.decode(ids) == "he"


def test_a_begin_token_is_put_first_where_the_model_wants_it(tmp_path: Path) -> None:
    by_file = tokenizer_for(tmp_path, metadata={"tokenizer.ggml.add_bos_token": True})
    by_habit = tokenizer_for(tmp_path, pre="llama-bpe")
    without = tokenizer_for(tmp_path)

    assert by_file.encode("he").ids[0] == 1
    assert by_habit.encode("he").ids[0] == 1
    assert without.encode("he").ids[0] != 1


def test_a_qwen_file_from_before_pre_tokenisers_had_names_is_qwens(tmp_path: Path) -> None:
    tokenizer = tokenizer_for(tmp_path, architecture="qwen2", metadata={"tokenizer.ggml.pre": None})

    assert words(tokenizer, "12 Ok") == ["1", "2", " Ok"]
