"""Chat templates of each family of tool-call formats, as short as they can be."""

from __future__ import annotations

from dataclasses import dataclass

_TURNS = """\
{%- for message in messages -%}
{%- if message.role == 'tool' -%}
<|user|>[result of {{ message.name }}] {{ message.content }}<|end|>
{%- else -%}
<|{{ message.role }}|>{{ message.content }}
{%- for tool_call in message.tool_calls or [] %}CALL{% endfor -%}
<|end|>
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"""

_OFFER = "{%- if tools -%}<|system|>{% for tool in tools %}{{ tool.function | tojson }}{% endfor %}<|end|>{%- endif -%}"


@dataclass(frozen=True)
class Dialect:
    """How one family writes ``{"city": "Oslo"}`` for the function ``weather``."""

    template: str
    call: str
    markers: tuple[str, ...] = ()


def _template(call: str) -> str:
    return _OFFER + _TURNS.replace("CALL", call)


HERMES = Dialect(
    _template(
        '<tool_call>\n{"name": "{{ tool_call.name or tool_call.function.name }}", '
        '"arguments": {{ tool_call.function.arguments | tojson }}}\n</tool_call>'
    ),
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
)
QWEN_CODER = Dialect(
    _template(
        "<tool_call>\n<function={{ tool_call.function.name }}>\n"
        "{% for name, value in tool_call.function.arguments | items %}"
        "<parameter={{ name }}>\n{{ value }}\n</parameter>\n{% endfor %}"
        "</function>\n</tool_call>"
    ),
    "<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>",
    markers=("<tool_call>", "</tool_call>"),
)
LLAMA = Dialect(
    _template(
        "{{- '{\"name\": \"' + tool_call.function.name + '\", ' }}{{- '\"parameters\": ' }}"
        "{{ tool_call.function.arguments | tojson }}}{# <|python_tag|> #}"
    ),
    '{"name": "weather", "parameters": {"city": "Oslo"}}',
    markers=("<|python_tag|>",),
)
MISTRAL_LIST = Dialect(
    _template(
        '[TOOL_CALLS] [{"name": "{{ tool_call.function.name }}", '
        '"arguments": {{ tool_call.function.arguments | tojson }}, "id": "{{ tool_call.id }}"}]'
    ),
    '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo"}, "id": "abcdefghi"}]',
    markers=("[TOOL_CALLS]",),
)
MISTRAL_NAMED = Dialect(
    _template(
        "[TOOL_CALLS]{{ tool_call.function.name }}[ARGS]{{ tool_call.function.arguments | tojson }}"
    ),
    '[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}',
    markers=("[TOOL_CALLS]", "[ARGS]"),
)
GLM = Dialect(
    _template(
        "<tool_call>{{ tool_call.function.name }}"
        "<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>"
    ),
    "<tool_call>weather<arg_key>city</arg_key><arg_value>Oslo</arg_value></tool_call>",
    markers=(
        "<tool_call>",
        "</tool_call>",
        "<arg_key>",
        "</arg_key>",
        "<arg_value>",
        "</arg_value>",
    ),
)
LONGCAT = Dialect(
    _template(
        "<longcat_tool_call>{{ tool_call.function.name }}\n"
        "{% for name, value in tool_call.function.arguments | items %}"
        "<longcat_arg_key>{{ name }}</longcat_arg_key>\n"
        "<longcat_arg_value>{{ value }}</longcat_arg_value>\n{% endfor %}</longcat_tool_call>"
    ),
    "<longcat_tool_call>weather\n<longcat_arg_key>city</longcat_arg_key>\n"
    "<longcat_arg_value>Oslo</longcat_arg_value>\n</longcat_tool_call>",
)
MINIMAX = Dialect(
    _template(
        '<minimax:tool_call>\n<invoke name="{{ tool_call.function.name }}">\n'
        "{% for name, value in tool_call.function.arguments | items %}"
        '<parameter name="{{ name }}">{{ value }}</parameter>\n{% endfor %}'
        "</invoke>\n</minimax:tool_call>"
    ),
    '<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">Oslo</parameter>\n'
    "</invoke>\n</minimax:tool_call>",
    markers=("<minimax:tool_call>", "</minimax:tool_call>"),
)
GEMMA = Dialect(
    _template(
        "<start_function_call>call:{{ tool_call.function.name }}"
        "{city:<escape>{{ tool_call.function.arguments.city }}<escape>}<end_function_call>"
    ),
    "<start_function_call>call:weather{city:<escape>Oslo<escape>}<end_function_call>",
)
NO_TOOLS = Dialect(
    _TURNS.replace("message.tool_calls", "[]"),
    '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
)

DIALECTS = {
    "hermes": HERMES,
    "qwen_coder": QWEN_CODER,
    "llama": LLAMA,
    "mistral_list": MISTRAL_LIST,
    "mistral_named": MISTRAL_NAMED,
    "glm": GLM,
    "longcat": LONGCAT,
    "minimax": MINIMAX,
    "gemma": GEMMA,
    "no_tools": NO_TOOLS,
}
