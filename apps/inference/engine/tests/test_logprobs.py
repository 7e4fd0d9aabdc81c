"""Each token's log probability is sent once, in order, when its text is final."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLTokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models

from apps.inference.engine import protocol
from apps.inference.engine.sampling.logprobs import ChosenToken
from apps.inference.engine.tests.conftest import PROFILE
from apps.inference.engine.tests.harness import SteppedEngine, chat
from apps.inference.engine.text.answer import AnswerText
from apps.inference.engine.text.vocabulary import Vocabulary

END = 256


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    stepped = SteppedEngine(PROFILE, tmp_path_factory.mktemp("logprobs"))
    yield stepped
    stepped.engine._cache.close()


@pytest.fixture(scope="module")
def tokenizer(engine, tiny):
    engine.answer(chat(tiny, "load", max_tokens=1))
    return engine.engine._pool[tiny.digest].loaded.tokenizer


class Told:
    """What an AnswerText told of a sequence of tokens, each of them a single byte."""

    def __init__(self, tokenizer, tokens, *, stops=(), max_tokens=10_000):
        text = AnswerText(
            tokenizer,
            stops=stops,
            end_tokens={END},
            max_tokens=max_tokens,
            vocabulary=Vocabulary(tokenizer),
        )
        self.sent, self.behind, self.reason = "", b"", None
        self.numbers: list[float] = []
        for number, token in enumerate(tokens):
            piece = text.feed(token, ChosenToken(token, -float(number), ()))
            self.sent += piece.text
            self.numbers += [-told.logprob for told in piece.logprobs]
            self.behind += b"".join(bytes(told.bytes) for told in piece.logprobs)
            self.reason = piece.finish_reason
            if self.reason:
                break
            # Nothing is told before its text is final.
            assert self.sent.encode().startswith(self.behind)


def spelled(tokenizer, text: str) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False)


words = st.text(st.sampled_from("abcé✓🙂"), max_size=20)


@settings(max_examples=100, deadline=None)
@given(text=words, stops=st.lists(st.text("abcé✓", min_size=1, max_size=3), max_size=2))
def test_the_tokens_told_are_those_behind_the_text(tokenizer, text, stops):
    told = Told(tokenizer, [*spelled(tokenizer, text), END], stops=tuple(stops))
    # The stop that is whole first, piece by piece.
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    assert told.sent == (text[: min(found)[1]] if found else text)
    assert told.behind == told.sent.encode()
    assert told.numbers == list(range(len(told.numbers)))


@settings(max_examples=50, deadline=None)
@given(text=words, limit=st.integers(1, 20))
def test_an_answer_cut_by_its_length_tells_every_token(tokenizer, text, limit):
    """Also those of a character that was never finished."""
    tokens = [*spelled(tokenizer, text), END]
    told = Told(tokenizer, tokens, max_tokens=limit)
    expected = tokens[:limit] if told.reason == "length" else tokens[:-1]
    assert told.numbers == list(range(len(expected)))


def test_a_token_that_a_stop_string_begins_inside_of_is_told():
    backend = Tokenizer(models.BPE({"a": 0, "b": 1, "c": 2, "ab": 3}, [("a", "b")]))
    backend.decoder = decoders.ByteLevel()

    class Wrapper:
        backend_tokenizer = backend

    told = Told(Wrapper(), [3, 2], stops=("bc",))
    assert (told.sent, told.behind, told.reason) == ("a", b"ab", "stop")


def test_the_bytes_of_a_byte_level_token_are_llguidances(tokenizer):
    reference = LLTokenizer(tokenizer.backend_tokenizer.to_str(), eos_token=END)
    vocabulary = Vocabulary(tokenizer)
    assert len(vocabulary) == 260
    bytes_of = {token: vocabulary.bytes_of(token) for token in range(256)}
    assert sorted(bytes_of.values()) == [bytes([byte]) for byte in range(256)]
    for token, byte in bytes_of.items():
        # llguidance marks special tokens with 0xff, which no UTF-8 text has.
        assert reference.decode_bytes([token]) == byte.replace(b"\xff", b"")
    assert vocabulary.bytes_of(END) == b"<|end|>"
    assert vocabulary.bytes_of(5000) == b""


def test_the_bytes_of_a_sentencepiece_token_are_its_text_with_blanks():
    pieces = {"<0x0A>": 0, "\u2581the": 1, "é": 2}
    backend = Tokenizer(models.BPE(pieces, [], byte_fallback=True))
    backend.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.add_special_tokens([AddedToken("</s>", special=True)])

    class Wrapper:
        backend_tokenizer = backend

    vocabulary = Vocabulary(Wrapper())
    told = [vocabulary.bytes_of(token) for token in range(4)]
    assert told == [b"\n", b" the", "é".encode(), b"</s>"]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_engines_answer_comes_with_the_tokens_behind_it(engine, tiny, temperature):
    asked = engine.answer(
        chat(tiny, "hello", temperature=temperature, seed=4, logprobs=3, max_tokens=25)
    )
    deltas = [e for e in asked.events if isinstance(e, protocol.Delta)]
    tokens = [token for delta in deltas for token in delta.logprobs]
    usage = asked.last.usage
    ended = asked.last.finish_reason == "stop"
    assert len(tokens) == usage.completion_tokens - ended
    for token in tokens:
        assert len(token.top) == 3
        assert token.logprob <= token.top[0].logprob + 1e-6
        assert [t.logprob for t in token.top] == sorted(
            (t.logprob for t in token.top), reverse=True
        )
    if temperature == 0:
        assert [token.bytes for token in tokens] == [token.top[0].bytes for token in tokens]


def test_an_engines_answer_without_them_carries_none(engine, tiny):
    asked = engine.answer(chat(tiny, "hello", max_tokens=5))
    assert all(e.logprobs == () for e in asked.events if isinstance(e, protocol.Delta))
