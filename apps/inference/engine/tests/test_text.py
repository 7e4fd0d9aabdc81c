"""Tokens to text and conversations to tokens."""

import jinja2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlx_lm.tokenizer_utils import load

from apps.inference.engine.errors import ChatTemplateFailed
from apps.inference.engine.protocol import Message
from apps.inference.engine.text.answer import AnswerText
from apps.inference.engine.text.chat import ChatFormatter
from apps.inference.engine.text.detokenizer import Detokenizer

shared_tokenizer = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def tokenizer(tiny):
    from pathlib import Path

    return load(Path(tiny.path))


def say(role, content):
    return Message(role=role, content=content)


@shared_tokenizer
@given(text=st.text(max_size=30))
def test_characters_of_several_tokens_appear_whole_and_none_is_lost(tokenizer, text):
    """The tiny tokenizer has one token a byte, so every non-ASCII character is split."""
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.feed(token) for token in tokenizer.encode(text)]
    assert "".join(pieces) == text
    if "�" not in text:
        assert not any("�" in piece for piece in pieces)


def test_a_character_that_is_never_completed_is_dropped(tokenizer):
    detokenizer = Detokenizer(tokenizer)
    euro = tokenizer.encode("€")
    assert [detokenizer.feed(token) for token in euro[:2]] == ["", ""]


def test_an_answer_that_runs_out_of_tokens_shows_what_a_stop_string_held_back(tokenizer):
    answer = AnswerText(tokenizer, stops=("END",), end_tokens={256}, max_tokens=2)
    first, second = (answer.feed(token) for token in tokenizer.encode("xE"))
    assert (first.text, first.finish_reason) == ("x", None)
    assert (second.text, second.finish_reason) == ("E", "length")


def test_an_end_token_is_no_text(tokenizer):
    answer = AnswerText(tokenizer, stops=(), end_tokens={256}, max_tokens=9)
    piece = answer.feed(256)
    assert (piece.text, piece.finish_reason) == ("", "stop")


def test_the_system_prefix_ends_where_the_users_text_begins(tokenizer):
    prompt = ChatFormatter(tokenizer).prompt([say("system", "be brief"), say("user", "hi")])
    prefix = tokenizer.decode(list(prompt.tokens[: prompt.system_tokens]))
    assert prefix == "<|system|>be brief<|end|><|user|>"


def test_a_developer_message_is_a_system_message(tokenizer):
    formatter = ChatFormatter(tokenizer)
    tokens = [
        formatter.prompt([say(role, "be brief"), say("user", "hi")]).tokens
        for role in ("system", "developer")
    ]
    assert tokens[0] == tokens[1]


def test_without_a_system_message_nothing_is_marked_as_one(tokenizer):
    assert ChatFormatter(tokenizer).prompt([say("user", "hi")]).system_tokens == 0


class WithoutSystemRole:
    """A tokenizer whose template refuses a system message, as Gemma's does."""

    has_chat_template = True
    has_thinking = False
    chat_template = ""

    def __init__(self, tokenizer):
        self.encode = tokenizer.encode

    def apply_chat_template(self, turns, **options):
        if any(turn["role"] == "system" for turn in turns):
            raise jinja2.TemplateError("System role not supported")
        if turns[0]["role"] != "user":
            raise jinja2.TemplateError("Conversation roles must alternate")
        return "".join(f"[{turn['content']}]" for turn in turns)


def test_a_template_without_system_role_gets_it_with_the_first_user_message(tokenizer):
    formatter = ChatFormatter(WithoutSystemRole(tokenizer))
    prompt = formatter.prompt([say("system", "be brief"), say("user", "hi")])
    assert tokenizer.decode(list(prompt.tokens)) == "[be brief\n\nhi]"
    assert prompt.system_tokens == len("[be brief\n\n")


def test_a_conversation_the_template_refuses_is_a_clear_failure(tokenizer):
    with pytest.raises(ChatTemplateFailed, match="must alternate"):
        ChatFormatter(WithoutSystemRole(tokenizer)).prompt([say("assistant", "hi")])
