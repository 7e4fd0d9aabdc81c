"""Which format a template asks for, and conversations with tools as templates take them."""

import pytest
from mlx_lm.tokenizer_utils import load

from apps.inference.engine.errors import ChatTemplateFailed
from apps.inference.engine.protocol import Message, Tool, ToolCall
from apps.inference.engine.tests.dialects import DIALECTS, HERMES, MISTRAL_LIST, NO_TOOLS
from apps.inference.engine.tests.tiny import write_tiny_model
from apps.inference.engine.text.chat import ChatFormatter
from apps.inference.engine.text.tools.foreign import ForeignCalls
from apps.inference.engine.text.tools.xml_calls import XmlCalls

WEATHER = Tool(name="weather", parameters='{"type": "object"}')
CALL = ToolCall(id="call_0123", name="weather", arguments='{"city": "Oslo"}')
CONVERSATION = (
    Message(role="user", content="hi"),
    Message(role="assistant", content="", tool_calls=(CALL,)),
    Message(role="tool", content="rain", tool_call_id="call_0123"),
)


@pytest.fixture(scope="module")
def formatters(tmp_path_factory):
    made = {}
    for name, dialect in DIALECTS.items():
        folder = tmp_path_factory.mktemp(name) / "model"
        write_tiny_model(folder, template=dialect.template, markers=dialect.markers)
        tokenizer = load(folder)
        tokenizer.model_max_length = 10**6  # transformers warns of longer texts
        made[name] = ChatFormatter(tokenizer)
    return made


def rendered(formatter, messages, tools=(), **options):
    prompt = formatter.prompt(messages, tools=tools, options=options)
    return formatter._tokenizer.decode(list(prompt.tokens))


@pytest.mark.parametrize(
    ("dialect", "openings", "native"),
    [
        ("hermes", ["<tool_call>"], True),
        ("qwen_coder", ["<tool_call>"], True),
        ("llama", ['{"name"', "<|python_tag|>"], True),
        ("mistral_list", ["[TOOL_CALLS]"], True),
        ("mistral_named", ["[TOOL_CALLS]"], True),
        ("glm", ["<tool_call>"], True),
        ("longcat", ["<longcat_tool_call>"], True),
        ("minimax", ["<minimax:tool_call>"], True),
        ("gemma", ["<start_function_call>"], True),
        ("no_tools", ["<tool_call>"], False),
    ],
)
def test_a_template_tells_its_format(formatters, dialect, openings, native):
    form = formatters[dialect].tool_format
    assert [opening.text for opening in form.openings] == openings
    assert form.native is native
    in_tags = ("qwen_coder", "glm", "longcat", "minimax")
    assert isinstance(form, XmlCalls) == (dialect in in_tags)
    assert isinstance(form, ForeignCalls) == (dialect == "gemma")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_earlier_call_stands_in_the_prompt_as_the_model_writes_it(formatters, dialect):
    text = rendered(formatters[dialect], CONVERSATION, (WEATHER,))
    written = DIALECTS[dialect].call.replace("abcdefghi", "")
    assert written.partition(', "id"')[0] in text
    assert "rain" in text


def test_mistrals_ids_are_short_and_match(formatters):
    template = MISTRAL_LIST.template
    assert "tool_call.id" in template
    turns = formatters["mistral_list"]._turns(CONVERSATION)
    call_id = turns[1]["tool_calls"][0]["id"]
    assert call_id == turns[2]["tool_call_id"]
    assert len(call_id) == 9
    assert formatters["hermes"]._turns(CONVERSATION)[2]["tool_call_id"] == "call_0123"


def test_a_template_without_tools_gets_them_in_the_system_message(formatters):
    system = Message(role="system", content="Be brief.")
    text = rendered(formatters["no_tools"], (system, *CONVERSATION), (WEATHER,))
    assert text.startswith("<|system|>Be brief.\n\nYou can call functions.")
    assert text.count("<|system|>") == 1
    assert '{"name": "weather", "description": "", "parameters": {"type": "object"}}' in text
    assert "<|user|><tool_response>\nrain\n</tool_response><|end|>" in text


def test_several_results_are_one_user_turn_there(formatters):
    other = Message(role="tool", content="snow", tool_call_id="call_0124")
    text = rendered(formatters["no_tools"], (*CONVERSATION, other), (WEATHER,))
    both = "<tool_response>\nrain\n</tool_response>\n<tool_response>\nsnow\n</tool_response>"
    assert f"<|user|>{both}<|end|>" in text


def test_calls_of_earlier_turns_stay_without_tools(formatters):
    text = rendered(formatters["no_tools"], CONVERSATION)
    assert NO_TOOLS.call in text
    assert "You can call functions" not in text


def test_a_result_knows_the_name_of_its_call(formatters):
    assert "[result of weather] rain" in rendered(formatters["hermes"], CONVERSATION, (WEATHER,))


def test_arguments_that_are_no_json_reach_the_template_as_they_are(formatters):
    broken = CALL.model_copy(update={"arguments": '{"city": '})
    messages = (CONVERSATION[0], Message(role="assistant", content="", tool_calls=(broken,)))
    assert r"{\"city\": " in rendered(formatters["hermes"], messages)
    # Qwen's goes through the arguments one by one.
    with pytest.raises(ChatTemplateFailed, match="refused the conversation"):
        rendered(formatters["qwen_coder"], messages)


def test_tools_count_for_the_system_prefix(formatters):
    formatter = formatters["hermes"]
    with_tools = formatter.prompt(CONVERSATION[:1], tools=(WEATHER,))
    assert with_tools.system_tokens > 50
    assert with_tools.system_preview == "Tools: weather"
    assert formatter.prompt(CONVERSATION[:1]).system_tokens == 0


def test_options_reach_the_template(tmp_path):
    template = HERMES.template + "{{ mood }}{{ reasoning_effort }}"
    formatter = ChatFormatter(load(write_tiny_model(tmp_path / "model", template=template)))
    text = rendered(formatter, CONVERSATION[:1], mood="fine", reasoning_effort="low")
    assert text.endswith("finelow")


def test_a_template_with_another_name_for_thinking_is_told_too(tmp_path):
    template = HERMES.template + "{% if thinking %}think{% endif %}"
    formatter = ChatFormatter(load(write_tiny_model(tmp_path / "model", template=template)))
    assert rendered(formatter, CONVERSATION[:1], reasoning_effort="high").endswith("think")
    assert not rendered(formatter, CONVERSATION[:1], reasoning_effort="none").endswith("think")
