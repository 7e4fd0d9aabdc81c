"""A SentencePiece vocabulary out of a GGUF file cuts text as SentencePiece itself does."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import Tokenizer

from apps.models.runtime import accelerator, loading
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.config import read_shape
from apps.models.runtime.gguf.importer import import_gguf
from apps.models.runtime.gguf.reader import read_gguf
from apps.models.runtime.gguf.tokenizer import build_tokenizer
from apps.models.runtime.gguf.vocabulary import read_vocabulary
from apps.models.runtime.tests.tiny import TinyModel, write_gguf

SIZE = 700
TEXT = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8").splitlines()


def trained(**options: Any) -> SentencePieceProcessor:
    """A vocabulary with the settings that Llama 2's was trained with."""
    model = BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=model,
        model_type="bpe",
        vocab_size=SIZE,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        control_symbols=["<turn>", "<end_of_turn>"],
        minloglevel=2,
        **options,
    )
    return SentencePieceProcessor(model_proto=model.getvalue())


def metadata(pieces: SentencePieceProcessor) -> dict[str, Any]:
    """What llama.cpp's converter writes of it (``_create_vocab_sentencepiece``)."""
    ids = range(pieces.get_piece_size())
    kinds = [
        2 if pieces.is_unknown(i)
        else 3 if pieces.is_control(i)
        else 6 if pieces.is_byte(i)
        else 1
        for i in ids
    ]  # fmt: skip
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [pieces.id_to_piece(i) for i in ids],
        "tokenizer.ggml.scores": [pieces.get_score(i) for i in ids],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": None,
        "tokenizer.ggml.bos_token_id": pieces.bos_id(),
        "tokenizer.ggml.eos_token_id": pieces.eos_id(),
    }


def rebuilt(folder: Path, pieces: SentencePieceProcessor, **changes: Any) -> Tokenizer:
    model = TinyModel(vocabulary=SIZE, metadata=metadata(pieces) | changes)
    write_gguf(folder / "tiny.gguf", model)
    file = read_gguf(folder / "tiny.gguf")
    return build_tokenizer(read_vocabulary(file, read_shape(file)))


@pytest.fixture(scope="module")
def pieces() -> SentencePieceProcessor:
    return trained()


@pytest.fixture(scope="module")
def tokenizer(
    pieces: SentencePieceProcessor, tmp_path_factory: pytest.TempPathFactory
) -> Tokenizer:
    return rebuilt(tmp_path_factory.mktemp("pieces"), pieces)


def plain(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False).ids


def test_every_line_of_a_real_text_is_cut_as_sentencepiece_cuts_it(
    tokenizer: Tokenizer, pieces: SentencePieceProcessor
) -> None:
    for line in filter(None, TEXT):
        assert plain(tokenizer, line) == pieces.encode(line)


@given(st.text(st.characters(exclude_characters="<\0", exclude_categories=["Cs"]), min_size=1))
@example("  two  spaces ")
@example("tab\tand\nnewline\r\n")
@example("\u2581 a piece's own space")
@example("e\u0301 \U0001f469\u200d\U0001f4bb 日本語")
def test_any_text_comes_back_from_its_tokens(tokenizer: Tokenizer, text: str) -> None:
    ids = plain(tokenizer, text)

    # SentencePiece's space is a space once decoded, in its own tokenizer too.
    assert tokenizer.decode(ids, skip_special_tokens=False) == text.replace("\u2581", " ")


@given(
    st.lists(st.sampled_from([word for line in TEXT for word in line.split()]), min_size=1).map(
        " ".join
    )
)
def test_any_words_are_cut_as_sentencepiece_cuts_them(
    tokenizer: Tokenizer, pieces: SentencePieceProcessor, text: str
) -> None:
    assert plain(tokenizer, text) == pieces.encode(text)


def test_what_no_piece_is_for_is_written_in_bytes(
    tokenizer: Tokenizer, pieces: SentencePieceProcessor
) -> None:
    assert plain(tokenizer, "日") == pieces.encode("日")
    assert tokenizer.encode("日").tokens[-3:] == ["<0xE6>", "<0x97>", "<0xA5>"]


def test_a_begin_token_is_put_first_and_control_tokens_are_found(tokenizer: Tokenizer) -> None:
    encoded = tokenizer.encode("<turn>model<end_of_turn>")

    assert encoded.tokens[:2] == ["<s>", "<turn>"]
    assert encoded.tokens[-1] == "<end_of_turn>"


def test_without_a_space_prefix_the_text_begins_as_it_is(tmp_path: Path) -> None:
    pieces = trained(add_dummy_prefix=False)
    tokenizer = rebuilt(tmp_path, pieces, **{"tokenizer.ggml.add_space_prefix": False})

    for text in ("model", " model", "the models folder"):
        assert plain(tokenizer, text) == pieces.encode(text)
        assert tokenizer.decode(plain(tokenizer, text)) == text


def test_an_imported_model_has_the_tokenizer_and_ends_where_it_should(
    tmp_path: Path, pieces: SentencePieceProcessor
) -> None:
    write_gguf(tmp_path / "tiny.gguf", TinyModel(vocabulary=SIZE, metadata=metadata(pieces)))
    import_gguf(tmp_path / "tiny.gguf", tmp_path / "model")

    tokenizer = loading.load(tmp_path / "model", accelerator.prepare()).tokenizer

    text = "Import a GGUF file: 日本"
    assert tokenizer.encode(text) == [pieces.bos_id(), *pieces.encode(text)]
    assert tokenizer.decode(pieces.encode(text)) == text
    assert pieces.piece_to_id("<end_of_turn>") in tokenizer.eos_token_ids


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tokenizer.ggml.scores": [1.0, 2.0]}, "gives 2 scores"),
        ({"tokenizer.ggml.scores": [float("nan")] * SIZE}, "no numbers"),
        ({"tokenizer.ggml.scores": None}, "scores"),
        ({"tokenizer.ggml.token_type": [6] * SIZE}, "byte tokens"),
        ({"tokenizer.ggml.remove_extra_whitespaces": True}, "takes spaces out"),
    ],
)
def test_a_vocabulary_that_can_not_be_right_is_refused(
    tmp_path: Path, pieces: SentencePieceProcessor, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ModelFormatError, match=complaint):
        rebuilt(tmp_path, pieces, **changes)
