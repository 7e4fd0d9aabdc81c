"""Tool calls and thoughts in an answer's text, however it is cut into pieces."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_lm.tool_parsers import glm47

from apps.inference.engine import protocol
from apps.inference.engine.protocol import Tool
from apps.inference.engine.text.reader import AnswerReader
from apps.inference.engine.text.reasoning import ReasoningMarks
from apps.inference.engine.text.tool_calls import Content, Offer
from apps.inference.engine.text.tools import json_calls
from apps.inference.engine.text.tools.foreign import ForeignCalls
from apps.inference.engine.text.tools.formats import quoted
from apps.inference.engine.text.tools.xml_calls import GLM, LONGCAT, MINIMAX, XmlCalls

WEATHER = Tool(
    name="weather",
    parameters=json.dumps(
        {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        }
    ),
)
CLOCK = Tool(name="clock")
THINK = ReasoningMarks("<think>", "</think>")

FORMATS = {
    "hermes": json_calls.hermes(quoted),
    "llama": json_calls.llama(quoted),
    "mistral_list": json_calls.mistral_list(quoted),
    "mistral_named": json_calls.mistral_named(quoted),
    "qwen_coder": XmlCalls(quoted),
    "glm": XmlCalls(quoted, GLM, glm47.parse_tool_call),
    "longcat": XmlCalls(quoted, LONGCAT),
    "minimax": XmlCalls(quoted, MINIMAX),
    "foreign": ForeignCalls("<tool_call>", "</tool_call>", glm47.parse_tool_call),
}

CALL = {
    "hermes": '<tool_call>\n{"name": "weather", "arguments": {"city": "a {\\"} b"}}\n</tool_call>',
    "llama": '{"name": "weather", "parameters": {"city": "a {\\"} b"}}',
    "mistral_list": '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "a {\\"} b"}}]',
    "mistral_named": '[TOOL_CALLS]weather[ARGS]{"city": "a {\\"} b"}',
    "qwen_coder": (
        "<tool_call>\n<function=weather>\n<parameter=city>\n"
        'a {"} b\n</parameter>\n</function>\n</tool_call>'
    ),
    "glm": '<tool_call>weather<arg_key>city</arg_key><arg_value>a {"} b</arg_value></tool_call>',
    "longcat": (
        "<longcat_tool_call>weather\n<longcat_arg_key>city</longcat_arg_key>\n"
        '<longcat_arg_value>a {"} b</longcat_arg_value>\n</longcat_tool_call>'
    ),
    "minimax": (
        '<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">a {"} b</parameter>\n'
        "</invoke>\n</minimax:tool_call>"
    ),
    "foreign": '<tool_call>weather <arg_key>city</arg_key><arg_value>a {"} b</arg_value></tool_call>',
}
GIVEN = {"city": 'a {"} b'}


def read(
    pieces,
    form="hermes",
    *,
    enforced=True,
    parallel=True,
    tools=(WEATHER, CLOCK),
    marks=None,
    beginning="none",
):
    """What an answer that comes in these pieces says: its events, put together."""
    offer = Offer(FORMATS[form], tools, parallel, enforced) if form else None
    reader = AnswerReader(marks, beginning, offer)
    spans = [span for piece in pieces for span in reader.feed(piece)]
    spans += [] if reader.complete else reader.close()
    told: list[tuple[str, ...]] = []
    length = 0
    for span in spans:
        if isinstance(span, Content):
            length += len(span.text)
            _add(told, "content", span.text)
            continue
        length += span.length
        for event in span.events:
            match event:
                case protocol.Reasoning():
                    _add(told, "reasoning", event.text)
                case protocol.ToolCallStart():
                    told.append(("call", event.name))
                case protocol.ToolCallArguments():
                    _add(told, "arguments", event.text)
    if not reader.complete:
        assert length == sum(map(len, pieces)), "every character is accounted for once"
    return told


def _add(told, kind, text):
    if told and told[-1][0] == kind:
        text = told.pop()[1] + text
    told.append((kind, text))


def calls_of(told):
    """Names and parsed arguments."""
    names = [value for kind, value in told if kind == "call"]
    given = [json.loads(value) for kind, value in told if kind == "arguments"]
    return list(zip(names, given, strict=True))


def characters(text):
    return list(text)


@pytest.mark.parametrize("enforced", [True, False])
@pytest.mark.parametrize("form", FORMATS)
def test_a_call_is_read_in_every_format(form, enforced):
    told = read(characters(CALL[form]), form, enforced=enforced)
    assert calls_of(told) == [("weather", GIVEN)]
    assert [kind for kind, _ in told] == ["call", "arguments"]


@pytest.mark.parametrize("form", ["hermes", "mistral_named", "qwen_coder", "glm"])
def test_text_before_a_call_and_several_calls_are_told_in_order(form):
    told = read([f"I look it up.\n{CALL[form]}\n{CALL[form]}\n"], form)
    assert told[0] == ("content", "I look it up.\n")
    assert calls_of(told) == [("weather", GIVEN)] * 2
    assert [kind for kind, _ in told].count("content") == 1


def test_a_list_of_calls_is_several():
    text = (
        '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo"}, "id": "abcdefghi"}, '
        '{"name": "clock", "arguments": {}}]'
    )
    for enforced in (True, False):
        told = read(characters(text), "mistral_list", enforced=enforced)
        assert calls_of(told) == [("weather", {"city": "Oslo"}), ("clock", {})]


def test_a_python_tag_opens_a_call_of_llamas():
    told = read(['Sure: <|python_tag|>{"name": "clock", "parameters": {}}'], "llama")
    assert told == [("content", "Sure: "), ("call", "clock"), ("arguments", "{}")]


def test_json_further_on_in_an_answer_of_llamas_is_text():
    text = 'Like this: {"name": "clock", "parameters": {}}'
    assert read(characters(text), "llama") == [("content", text)]


@pytest.mark.parametrize("enforced", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>',
        "<tool_call>weather, please</tool_call> and so on",
        "<tool_call>",
        "<tool_ca",
        "a < b <tool",
        "   \n",
        "",
    ],
)
def test_what_is_no_call_is_text(text, enforced):
    told = read(characters(text), enforced=enforced)
    assert told == ([("content", text)] if text else [])


@pytest.mark.parametrize(
    "arguments", ['{"city": "Os}', '{"city": }', "{'city': 'Oslo'}", '"Oslo"', "[]"]
)
def test_a_call_whose_arguments_are_no_json_object_is_text(arguments):
    text = f'<tool_call>\n{{"name": "weather", "arguments": {arguments}}}\n</tool_call> so'
    assert read(characters(text), enforced=False) == [("content", text)]


def test_a_call_that_the_answer_ends_before_closing_is_a_call():
    text = '<tool_call>\n{"name": "weather"}\n'
    assert read(characters(text)) == [("call", "weather"), ("arguments", "{}")]


def test_arguments_come_while_they_are_written_where_their_form_is_enforced():
    reader = AnswerReader(None, "none", Offer(FORMATS["hermes"], (WEATHER,), True, True))
    told = []
    for piece in ['<tool_call>{"name": "weather", "arguments": {"ci', 'ty": "O', 'slo"}', "}"]:
        told.append([event.event for span in reader.feed(piece) for event in span.events])
    assert told[0] == ["tool_call", "tool_call_arguments"]
    assert told[1] == told[2] == ["tool_call_arguments"]
    assert told[3] == []


def test_an_answer_that_is_cut_off_tells_what_there_is_of_the_arguments():
    told = read(['<tool_call>{"name": "weather", "arguments": {"city": "Os'])
    assert told == [("call", "weather"), ("arguments", '{"city": "Os')]


@pytest.mark.parametrize("enforced", [True, False])
@pytest.mark.parametrize("form", ["hermes", "qwen_coder", "mistral_list", "mistral_named"])
def test_where_one_call_is_allowed_nothing_follows_it(form, enforced):
    told = read([CALL[form] * 2], form, enforced=enforced, parallel=False)
    assert calls_of(told) == [("weather", GIVEN)]


# --- thoughts ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("beginning", "text", "told"),
    [
        ("open", "hm\n\n</think>\n\nHi", [("reasoning", "hm"), ("content", "Hi")]),
        ("open", "never ends\n", [("reasoning", "never ends\n")]),
        ("possible", "\n<think>\nhm</think>Hi", [("reasoning", "hm"), ("content", "Hi")]),
        ("possible", "<think></think>\nHi", [("content", "Hi")]),
        ("possible", "<thin air>", [("content", "<thin air>")]),
        ("possible", "Hi <think>x</think>", [("content", "Hi <think>x</think>")]),
        ("none", "<think>x</think>", [("content", "<think>x</think>")]),
        ("possible", "<th", [("content", "<th")]),
        ("open", "a </thi", [("reasoning", "a </thi")]),
    ],
)
def test_thoughts_are_told_apart(beginning, text, told):
    for form in (None, "hermes"):
        assert read(characters(text), form, marks=THINK, beginning=beginning) == told
        assert read([text], form, marks=THINK, beginning=beginning) == told


def test_a_call_among_thoughts_is_a_thought():
    told = read(
        [f"{CALL['hermes']}</think>\n{CALL['hermes']}"], "hermes", marks=THINK, beginning="open"
    )
    assert [kind for kind, _ in told] == ["reasoning", "call", "arguments"]


# --- however it is cut ------------------------------------------------------

SNIPPETS = st.sampled_from(
    [
        *CALL.values(),
        "<tool_call>",
        "</tool_call>",
        "<think>",
        "</think>",
        "[TOOL_CALLS]",
        '{"name": "clock", "arguments": {}}',
        '{"name"',
        "\n",
        " ",
        "<",
        "text",
        '"',
        "}",
    ]
)


@st.composite
def answers_in_pieces(draw):
    text = "".join(draw(st.lists(SNIPPETS | st.text(max_size=5), max_size=6)))
    cuts = draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=20))
    places = sorted({0, *cuts, len(text)})
    pieces = [text[a:b] for a, b in pairwise(places)]
    return text, pieces


@given(
    answer=answers_in_pieces(),
    form=st.sampled_from([None, *FORMATS]),
    enforced=st.booleans(),
    parallel=st.booleans(),
    beginning=st.sampled_from(["open", "possible", "none"]),
)
def test_however_an_answer_is_cut_it_says_the_same(answer, form, enforced, parallel, beginning):
    text, pieces = answer
    options = {
        "form": form,
        "enforced": enforced,
        "parallel": parallel,
        "marks": THINK,
        "beginning": beginning,
    }
    told = read(pieces, **options)
    assert told == read([text], **options)
    # Nothing is made up, and what is no call arrives once, in order.
    content = "".join(value for kind, value in told if kind in ("content", "reasoning"))
    if not any(kind == "call" for kind, _ in told):
        without_marks = text.replace("<think>", "").replace("</think>", "")
        assert _bare(content.replace("<think>", "").replace("</think>", "")) == _bare(without_marks)


def _bare(text):
    """Line breaks around marks belong to them."""
    return text.replace("\n", "").replace(" ", "")
