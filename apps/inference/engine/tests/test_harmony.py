"""gpt-oss' channels: answers in pieces, and calls and schemas enforced in a whole engine."""

from __future__ import annotations

import json
from itertools import pairwise

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.inference.engine import protocol
from apps.inference.engine.protocol import Grammar, Message, Tool, ToolCall, ToolChoice
from apps.inference.engine.tests.conftest import PROFILE
from apps.inference.engine.tests.harness import SteppedEngine, chat
from apps.inference.engine.tests.tiny import SPECIALS, write_tiny_model
from apps.inference.engine.text.harmony import HarmonyReader
from apps.inference.engine.text.tool_calls import Content, Offer
from apps.inference.engine.text.tools.formats import quoted
from apps.inference.engine.text.tools.harmony import CALL, MARKERS, HarmonyCalls

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool(name="weather", parameters=json.dumps(PARAMETERS))

RETURN = "<|return|>"

THOUGHT = "<|channel|>analysis<|message|>Hm, 日本?<|end|><|start|>assistant"
FINAL = "<|channel|>final<|message|>It rains."
CALLED = '<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Oslo"}'

TEMPLATE = (
    "{% if tools %}<|start|>developer<|message|>{{ tools | tojson }}<|end|>{% endif %}"
    "{% for message in messages %}"
    "{% if message.role == 'tool' %}<|start|>functions.{{ message.name }} to=assistant"
    "<|channel|>commentary<|message|>{{ message.content }}<|end|>"
    "{% elif message.tool_calls %}"
    "{% if message.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ message.thinking }}<|end|>{% endif %}"
    "<|start|>assistant to=functions.{{ message.tool_calls[0].function.name }}<|channel|>commentary"
    " json<|message|>{{ message.tool_calls[0].function.arguments | tojson }}<|call|>"
    "{% else %}<|start|>{{ message.role }}<|message|>{{ message.content }}<|end|>{% endif %}"
    "{% endfor %}<|start|>assistant"
)


def read(pieces, *, offered=True, enforced=False):
    """What an answer in these pieces says, put together, and how many characters it had."""
    offer = Offer(HarmonyCalls(quoted), (WEATHER,), True, enforced) if offered else None
    reader = HarmonyReader(offer)
    spans = [span for piece in pieces for span in reader.feed(piece)] + reader.close()
    told: list[tuple[str, str]] = []
    length = 0
    for span in spans:
        length += len(span.text) if isinstance(span, Content) else span.length
        events = [("content", span.text)] if isinstance(span, Content) else map(_said, span.events)
        for kind, text in events:
            if told and told[-1][0] == kind != "call":
                told[-1] = (kind, told[-1][1] + text)
            else:
                told.append((kind, text))
    return told, length


def _said(event) -> tuple[str, str]:
    match event:
        case protocol.Reasoning():
            return "thought", event.text
        case protocol.ToolCallStart():
            return "call", event.name
    return "arguments", event.text


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (FINAL, [("content", "It rains.")]),
        (THOUGHT + FINAL, [("thought", "Hm, 日本?"), ("content", "It rains.")]),
        (CALLED, [("call", "weather"), ("arguments", '{"city": "Oslo"}')]),
        (
            THOUGHT + CALLED,
            [("thought", "Hm, 日本?"), ("call", "weather"), ("arguments", '{"city": "Oslo"}')],
        ),
        (
            " to=functions.weather<|channel|>commentary json<|message|>{}",
            [("call", "weather"), ("arguments", "{}")],
        ),
        (
            "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant" + CALLED,
            [("content", "I look."), ("call", "weather"), ("arguments", '{"city": "Oslo"}')],
        ),
        ("Just text", [("content", "Just text")]),
        ("", []),
        ("<|channel|>ana", []),
        ("<|channel|>analysis<|message|>cut of", [("thought", "cut of")]),
        # What is no call is text.
        (CALLED.replace("weather", "launch"), [("content", '{"city": "Oslo"}')]),
        (CALLED[:-3], [("content", '{"city": "Osl')]),
    ],
)
def test_channels_are_told_apart(answer, told):
    assert read([answer]) == (told, len(answer))


@given(
    answer=st.lists(
        st.sampled_from(
            [*MARKERS, THOUGHT, FINAL, CALLED, "analysis", "assistant", "<|", "é", " "]
        ),
        max_size=6,
    ).map("".join),
    cuts=st.sets(st.integers(0, 200)),
    offered=st.booleans(),
)
def test_however_an_answer_is_cut_it_says_the_same(answer, cuts, offered):
    places = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    pieces = [answer[a:b] for a, b in pairwise(places)]
    assert read(pieces, offered=offered) == read([answer], offered=offered)


def test_without_tools_what_is_addressed_to_one_is_content():
    assert read([CALLED], offered=False)[0] == [("content", '{"city": "Oslo"}')]


# --- in the engine ------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    stepped = SteppedEngine(PROFILE, tmp_path_factory.mktemp("harmony"))
    yield stepped
    stepped.engine._cache.close()


@pytest.fixture(scope="module")
def oss(tmp_path_factory):
    """A model with gpt-oss' special tokens, two of which end its turns."""
    added = [*(marker for marker in MARKERS if marker not in SPECIALS), CALL, RETURN]
    path = write_tiny_model(
        tmp_path_factory.mktemp("models") / "oss",
        template=TEMPLATE,
        markers=added,
        max_position_embeddings=4096,
    )
    ends = [256 + [*SPECIALS, *added].index(token) for token in (RETURN, CALL)]
    _change(path / "config.json", eos_token_id=ends)
    _change(path / "tokenizer_config.json", eos_token=RETURN)
    return protocol.ModelSpec(name="oss", path=str(path), digest="digest-of-oss")


def _change(file, **fields):
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def events_of(asked, kind):
    return [event for event in asked.events if isinstance(event, kind)]


def test_a_forced_call_is_valid_in_its_channel(engine, oss):
    called = 0
    for seed in range(6):
        request = chat(oss, "weather?", temperature=1.5, seed=seed, max_tokens=400)
        choice = ToolChoice(mode="required")
        asked = engine.answer(
            request.model_copy(update={"tools": (WEATHER,), "tool_choice": choice})
        )
        if asked.last.finish_reason == "length":
            continue  # thinking without end
        (start,) = events_of(asked, protocol.ToolCallStart)
        given = "".join(event.text for event in events_of(asked, protocol.ToolCallArguments))
        jsonschema.validate(json.loads(given), PARAMETERS)
        assert (start.name, asked.last.finish_reason) == ("weather", "tool_calls")
        called += 1
    assert called


@pytest.mark.parametrize("with_tools", [False, True])
def test_a_schema_holds_for_the_final_channel(engine, oss, with_tools):
    grammar = Grammar(kind="json_schema", text='{"type": "integer", "minimum": 0, "maximum": 99}')
    finals = 0
    for seed in range(6):
        request = chat(oss, "n?", temperature=1.5, seed=seed, max_tokens=300, grammar=grammar)
        asked = engine.answer(
            request.model_copy(update={"tools": (WEATHER,) if with_tools else ()})
        )
        if asked.last.finish_reason == "stop":
            assert 0 <= json.loads(asked.text) <= 99
            finals += 1
    assert finals


def test_earlier_calls_and_thoughts_stand_in_the_prompt(engine, oss):
    engine.answer(chat(oss, "load", max_tokens=1))
    formatter = engine.engine._pool[oss.digest].formatter
    call = ToolCall(id="call_1", name="weather", arguments='{"city": "Oslo"}')
    messages = (
        Message(role="user", content="hi"),
        Message(role="assistant", content="", reasoning="I look.", tool_calls=(call,)),
        Message(role="tool", content="rain", tool_call_id="call_1"),
    )
    prompt = formatter.prompt(messages, tools=(WEATHER,))
    text = formatter.tokenizer.decode(list(prompt.tokens))
    assert "<|channel|>analysis<|message|>I look.<|end|>" in text
    assert '<|channel|>commentary json<|message|>{"city": "Oslo"}<|call|>' in text
    assert "<|start|>functions.weather to=assistant" in text
