"""Tokens of texts and texts of tokens, without weights and off the engine's thread."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine import protocol
from apps.inference.engine.sequence import Call
from apps.inference.engine.texts import TextService

PATIENCE = 60.0


class Asker:
    """Asks a text service and waits for what it says."""

    def __init__(self) -> None:
        self.forwarded: list[protocol.Request] = []
        self.service = TextService(lambda request, call: self.forwarded.append(request))

    def __call__(self, request) -> protocol.Event:
        events, told = [], threading.Event()
        self.service.take(request, Call(lambda event: (events.append(event), told.set())))
        assert told.wait(PATIENCE)
        return events[0]


@pytest.fixture(scope="module")
def ask():
    asker = Asker()
    yield asker
    asker.service.close()


def test_a_text_is_told_in_tokens(ask, tiny) -> None:
    answer = ask(protocol.Tokenize(model=tiny, text="né"))

    assert isinstance(answer, protocol.Tokens)
    assert len(answer.tokens) == 3
    assert answer.strings == ("n", "Ã", "©")  # half characters, as the tokenizer writes them


def test_a_conversation_is_told_as_its_model_reads_it(ask, tiny) -> None:
    answer = ask(
        protocol.Tokenize(model=tiny, messages=(protocol.Message(role="user", content="Hi"),))
    )

    assert "".join(answer.strings) == "<|user|>Hi<|end|><|assistant|>"


def test_special_tokens_come_where_they_are_asked_for(ask, tiny) -> None:
    answer = ask(protocol.Tokenize(model=tiny, text="<|end|>", add_special_tokens=False))

    assert answer.strings == ("<|end|>",)


def test_tokens_become_the_text_again(ask, tiny) -> None:
    tokens = ask(protocol.Tokenize(model=tiny, text="Hello 🌍<|end|>")).tokens

    assert ask(protocol.Detokenize(model=tiny, tokens=tokens)).text == "Hello 🌍<|end|>"


@pytest.mark.parametrize("token", [-1, 260, 2**40])
def test_a_token_that_does_not_exist_is_refused(ask, tiny, token) -> None:
    answer = ask(protocol.Detokenize(model=tiny, tokens=(1, token)))

    assert answer.code == "invalid_request"
    assert f"{token} is no token of this model; they are 0 to 259" in answer.message


def test_a_model_without_a_tokenizer_is_told_so(ask, tmp_path) -> None:
    missing = protocol.ModelSpec(name="gone", path=str(tmp_path / "gone"), digest="gone")

    answer = ask(protocol.Tokenize(model=missing, text="Hi"))

    assert answer.code == "model_load_failed"
    assert answer.message.startswith("gone's tokenizer could not be read")


def test_the_least_recently_used_tokenizers_go(ask, tiny) -> None:
    for number in range(8):
        spec = tiny.model_copy(update={"digest": f"copy-{number}"})
        ask(protocol.Tokenize(model=spec, text="Hi"))

    assert list(ask.service._readers) == [f"copy-{number}" for number in range(4, 8)]


@given(text=st.text(max_size=200))
def test_any_text_comes_back_from_its_tokens(ask, tiny, text) -> None:
    tokens = ask(protocol.Tokenize(model=tiny, text=text)).tokens

    assert ask(protocol.Detokenize(model=tiny, tokens=tokens)).text == text
