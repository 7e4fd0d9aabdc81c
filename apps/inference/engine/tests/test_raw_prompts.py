"""Prompts without a conversation: texts, tokens, gaps; and a prompt's own log probabilities."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from tokenizers import AddedToken

from apps.inference.engine import protocol
from apps.inference.engine.tests.harness import Asked, SteppedEngine, chat
from apps.inference.engine.text.raw import raw_prompt
from apps.models.runtime import loading
from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.tokenizing import load_folder_tokenizer

LONG = "It was the best of times, it was the worst of times. " * 6
"""318 tokens: several chunks."""


@pytest.fixture
def engine(profile: AcceleratorProfile, tmp_path) -> SteppedEngine:
    return SteppedEngine(profile, tmp_path)


def complete(model, prompt, *, score: bool = False, **fields) -> protocol.Generate:
    sampling = {"temperature": 0.0, "max_tokens": 8, **fields}
    return protocol.Generate(
        model=model,
        prompt=prompt,
        score_prompt=score,
        sampling=protocol.Sampling(**sampling),
    )


def told(asked: Asked) -> list[protocol.PromptToken]:
    events = [each for each in asked.events if isinstance(each, protocol.PromptTokens)]
    return [token for event in events for token in event.tokens]


class TestAPrompt:
    def test_is_read_without_a_template(self, engine, tiny) -> None:
        asked = engine.answer(complete(tiny, "Hello"))

        assert asked.last.usage.prompt_tokens == 5
        assert asked.last.usage.completion_tokens <= 8

    def test_of_tokens_is_that_of_their_text(self, engine, tiny) -> None:
        text = engine.answer(complete(tiny, "Hello")).text

        asked = engine.answer(complete(tiny, tuple(encode(tiny, "Hello"))))

        assert asked.text == text
        assert asked.last.usage.prompt_tokens == 5

    def test_that_is_empty_begins_a_document(self, engine, tiny) -> None:
        assert engine.answer(complete(tiny, "")).last.usage.prompt_tokens == 1

    def test_of_tokens_that_do_not_exist_is_refused(self, engine, tiny) -> None:
        asked = engine.answer(complete(tiny, (1, 999)))

        assert asked.last.code == "invalid_request"
        assert "999 is no token of this model; they are 0 to 259" in asked.last.message

    def test_shares_cached_kv_with_its_like(self, engine, tiny) -> None:
        engine.answer(complete(tiny, LONG))

        assert engine.answer(complete(tiny, LONG + "More.")).last.usage.cached_tokens >= 300

    def test_stands_beside_conversations_in_a_batch(self, engine, tiny) -> None:
        alone = engine.answer(complete(tiny, "Hello")).text
        conversation = engine.answer(chat(tiny, "Hi")).text

        both = [engine.ask(complete(tiny, "Hello")), engine.ask(chat(tiny, "Hi"))]
        engine.finish(*both)

        assert [asked.text for asked in both] == [alone, conversation]


class TestAGap:
    def test_is_asked_for_in_the_models_own_tokens(self, tiny) -> None:
        tokenizer = load_tokenizer(tiny)
        markers = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]
        tokenizer.backend_tokenizer.add_special_tokens(
            [AddedToken(marker, special=True) for marker in markers]
        )
        request = protocol.Generate(model=tiny, prompt="a", suffix="b")

        tokens = raw_prompt(request, tokenizer).tokens

        spelled = [tokenizer.backend_tokenizer.id_to_token(token) for token in tokens]
        assert spelled == ["<|fim_prefix|>", "a", "<|fim_suffix|>", "b", "<|fim_middle|>"]

    def test_is_refused_by_a_model_that_has_none(self, engine, tiny) -> None:
        asked = engine.answer(protocol.Generate(model=tiny, prompt="a", suffix="b"))

        assert asked.last.code == "invalid_request"
        assert "suffix: tiny has no tokens for filling in" in asked.last.message


class TestAScoredPrompt:
    def test_is_told_token_by_token_with_the_models_own_numbers(
        self, engine, tiny, profile
    ) -> None:
        asked = engine.answer(complete(tiny, LONG, score=True, logprobs=3))

        tokens = told(asked)
        expected, likeliest = oracle(tiny, profile, LONG)
        assert b"".join(bytes(token.bytes) for token in tokens).decode() == LONG
        assert tokens[0].logprob is None
        found = [token.logprob for token in tokens[1:]]
        assert found == pytest.approx(expected, abs=1e-3)
        assert [token.top[0].logprob for token in tokens[1:]] == pytest.approx(likeliest, abs=1e-3)
        assert {len(token.top) for token in tokens[1:]} == {3}

    def test_is_told_whole_even_where_it_is_cached(self, engine, tiny) -> None:
        plain = engine.answer(complete(tiny, LONG)).text

        asked = engine.answer(complete(tiny, LONG, score=True, logprobs=0))

        assert len(told(asked)) == asked.last.usage.prompt_tokens
        assert asked.last.usage.cached_tokens == 0
        assert asked.text == plain

    def test_is_told_before_its_answer(self, engine, tiny) -> None:
        asked = engine.answer(complete(tiny, LONG, score=True, logprobs=0))

        kinds = [type(event) for event in asked.events]
        assert kinds.index(protocol.Delta) > max(
            place for place, kind in enumerate(kinds) if kind is protocol.PromptTokens
        )

    def test_of_one_token_has_nothing_to_score(self, engine, tiny) -> None:
        (token,) = told(engine.answer(complete(tiny, "a", score=True, logprobs=0)))

        assert (token.text, token.logprob) == ("a", None)

    def test_without_numbers_is_only_spelled(self, engine, tiny) -> None:
        tokens = told(engine.answer(complete(tiny, "né", score=True)))

        assert [token.logprob for token in tokens] == [None] * 3
        assert bytes(byte for token in tokens for byte in token.bytes).decode() == "né"

    def test_leaves_its_neighbours_as_they_are(self, engine, tiny) -> None:
        alone = engine.answer(complete(tiny, "Hello there", max_tokens=30)).text

        asked = [
            engine.ask(complete(tiny, "Hello there", max_tokens=30)),
            engine.ask(complete(tiny, LONG, score=True, logprobs=2)),
            engine.ask(complete(tiny, "Hello", score=True, logprobs=0)),
        ]
        engine.finish(*asked)

        assert asked[0].text == alone
        assert [len(told(each)) for each in asked] == [0, 318, 5]


def load_tokenizer(model):
    return load_folder_tokenizer(Path(model.path)).tokenizer


def encode(model, text: str) -> list[int]:
    return load_tokenizer(model).encode(text)


def oracle(model, profile, text: str) -> tuple[list[float], list[float]]:
    """Of each token but the first: its log probability, and that of the likeliest one."""
    loaded = loading.load(Path(model.path), profile)
    tokens = loaded.tokenizer.encode(text)
    logits = np.array(loaded.model(mx.array([tokens]))[0], np.float64)
    logprobs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    chosen = logprobs[np.arange(len(tokens) - 1), tokens[1:]]
    return chosen.tolist(), logprobs[:-1].max(axis=-1).tolist()
