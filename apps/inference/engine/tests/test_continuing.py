"""Answers that go on from their middle: what the model reads, and how what it writes is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlx_lm.tokenizer_utils import load
from pydantic import ValidationError
from tokenizers import Tokenizer, decoders, models

from apps.inference.engine import protocol
from apps.inference.engine.protocol import Grammar, Message, Reasoning, Sampling, ToolChoice
from apps.inference.engine.tests.harness import chat
from apps.inference.engine.text.chat import ChatFormatter
from apps.inference.engine.text.continuing import begun, begun_in_channels
from apps.inference.engine.text.detokenizer import Detokenizer
from apps.inference.engine.text.harmony import HarmonyReader
from apps.inference.engine.text.reader import AnswerReader
from apps.inference.engine.text.reasoning import ReasoningMarks
from apps.inference.engine.text.tool_calls import Aside, Content

THINK = ReasoningMarks("<think>", "</think>")


def answer(content: str = "", reasoning: str = "") -> Message:
    return Message(role="assistant", content=content, reasoning=reasoning)


def going_on(model: protocol.ModelSpec, *contents: str) -> protocol.Generate:
    """A conversation whose last turn is the answer's beginning."""
    return chat(model, *contents).model_copy(update={"continue_final": True})


def told(reader, text: str) -> list[tuple[str, str]]:
    spans = [*reader.feed(text), *reader.close()]
    said: list[tuple[str, str]] = []
    for span in spans:
        if isinstance(span, Content):
            said.append(("content", span.text))
        elif isinstance(span, Aside):
            said += [("thought", e.text) for e in span.events if isinstance(e, Reasoning)]
    return said


# --- what the model reads -----------------------------------------------------


def test_the_prompt_ends_where_the_answer_does(tiny) -> None:
    formatter = ChatFormatter(load(Path(tiny.path)))
    messages = [Message(role="user", content="Hi"), answer("The capital")]

    prompt = formatter.prompt(messages, continue_final=True)

    text = formatter.tokenizer.decode(list(prompt.tokens))
    assert text == "<|user|>Hi<|end|><|assistant|>The capital"
    assert (prompt.within, prompt.beginning) == ("content", "none")


@pytest.mark.parametrize(
    ("beginning", "so_far", "text", "within"),
    [
        ("possible", answer("Paris"), "Paris", "content"),
        ("possible", answer("Paris", "Hm."), "<think>\nHm.\n</think>\n\nParis", "content"),
        ("possible", answer("", "Hm"), "<think>\nHm", "thought"),
        ("open", answer("Paris", "Hm."), "Hm.\n</think>\n\nParis", "content"),
        ("open", answer("", "Hm"), "Hm", "thought"),
        # Where the prompt says that there are no thoughts, none are put in.
        ("none", answer("Paris", "Hm."), "Paris", "content"),
    ],
)
def test_thoughts_stand_as_the_model_writes_them(beginning, so_far, text, within) -> None:
    begin = begun(so_far, THINK, beginning)

    assert (begin.text, begin.within) == (text, within)


@pytest.mark.parametrize(
    ("so_far", "text", "within"),
    [
        (answer("Rain"), "<|channel|>final<|message|>Rain", "content"),
        (answer("", "Hm"), "<|channel|>analysis<|message|>Hm", "thought"),
        (
            answer("Rain", "Hm."),
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
            "<|channel|>final<|message|>Rain",
            "content",
        ),
    ],
)
def test_in_channels_each_part_has_its_own(so_far, text, within) -> None:
    begin = begun_in_channels(so_far)

    assert (begin.text, begin.within) == (text, within)


# --- how it is told -----------------------------------------------------------


def test_content_that_goes_on_is_content_whatever_it_begins_with() -> None:
    reader = AnswerReader(THINK, "none", None, within="content")

    assert told(reader, "\n\nis Paris.") == [("content", "\n\nis Paris.")]


def test_thoughts_that_go_on_keep_their_line_breaks_and_end_as_usual() -> None:
    reader = AnswerReader(THINK, "open", None, within="thought")

    said = told(reader, "\n\nSecond.\n</think>\n\nParis.")

    assert said == [("thought", "\n\nSecond."), ("content", "Paris.")]


@pytest.mark.parametrize("within", ["content", "thought"])
def test_a_message_that_goes_on_needs_no_header(within) -> None:
    assert told(HarmonyReader(None, within=within), "to Oslo.") == [(within, "to Oslo.")]


def test_a_leading_space_stays_where_a_text_goes_on() -> None:
    """Decoders of SentencePiece's kind drop it at the beginning of a text."""
    words = {"▁The": 0, "▁capital": 1}
    backend = Tokenizer(models.WordLevel(words, unk_token="▁The"))
    backend.decoder = decoders.Metaspace()

    class Wrapped:
        backend_tokenizer = backend

    assert Detokenizer(Wrapped()).feed(1) == "capital"
    assert Detokenizer(Wrapped(), after=(0,)).feed(1) == " capital"


# --- in the engine ------------------------------------------------------------


def test_an_answer_goes_on_as_the_same_text_without_a_template_does(engine, tiny) -> None:
    raw = chat(tiny, "Hi").model_copy(
        update={"messages": (), "prompt": "<|user|>Hi<|end|><|assistant|>Hello"}
    )

    asked = engine.answer(going_on(tiny, "Hi", "Hello"))

    assert asked.text == engine.answer(raw).text
    assert asked.last.usage.prompt_tokens == 3 + len("Hi") + len("Hello")


def test_what_was_computed_for_the_answer_is_not_computed_again(engine, tiny) -> None:
    engine.answer(chat(tiny, "x" * 100))
    first = engine.answer(going_on(tiny, "x" * 100, "Hello"))

    assert first.last.usage.cached_tokens >= 100


@pytest.mark.parametrize(
    ("messages", "more"),
    [
        ((answer("Hello"),), {}),
        ((Message(role="user", content="Hi"),), {}),
        (
            (Message(role="user", content="Hi"), answer("{")),
            {"sampling": Sampling(grammar=Grammar(kind="json_schema", text="{}"))},
        ),
        (
            (Message(role="user", content="Hi"), answer("{")),
            {"tool_choice": ToolChoice(mode="required")},
        ),
    ],
)
def test_only_the_text_of_an_answer_can_go_on(tiny, messages, more) -> None:
    with pytest.raises(ValidationError):
        protocol.Generate(model=tiny, messages=messages, continue_final=True, **more)
