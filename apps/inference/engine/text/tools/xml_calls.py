"""Calls as tags, as Qwen3-Coder writes them.

    <tool_call>
    <function=f>
    <parameter=city>
    Paris
    </parameter>
    </function>
    </tool_call>

Texts stand as they are, everything else as JSON. A text's enumeration is enforced; its
pattern, format and length are not. https://huggingface.co/Qwen/Qwen3-Coder-30B-A3B-Instruct
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.inference.engine.protocol import Tool
from apps.inference.engine.text.tools.formats import (
    WS,
    CallBody,
    Calls,
    Opening,
    WholeBody,
    enforced_schema,
    parameters_of,
    quoted,
)

_FUNCTION = re.compile(r"\s*<function=([^>\n]+)>(.*?)</function>\s*", re.DOTALL)
_PARAMETER = re.compile(r"\s*<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>\s*", re.DOTALL)


@dataclass(frozen=True)
class XmlCalls:
    spell: Callable[[str], str]
    openings: tuple[Opening, ...] = (Opening("<tool_call>"),)
    markers: tuple[str, ...] = ("<tool_call>", "</tool_call>")
    native: bool = True
    short_ids: bool = False

    def whole(self, tools: Sequence[Tool], *, most: int) -> str:
        start = self.spell("<tool_call>")
        many = f"(WS one){{0,{most - 1}}}" if most > 1 else ""
        return f"calls: one {many}\none: {start} call\n{self._rules(tools)}"

    def after(self, opening: Opening, tools: Sequence[Tool]) -> str:
        return f"start: call\n{self._rules(tools)}"

    def body(self, opening: Opening, tools: Sequence[Tool], *, enforced: bool) -> CallBody:
        schemas = {tool.name: parameters_of(tool) for tool in tools}
        return WholeBody(opening, "</tool_call>", lambda text: _read(text, schemas), list(schemas))

    def _rules(self, tools: Sequence[Tool]) -> str:
        functions = " | ".join(f"function_{i}" for i in range(len(tools)))
        lines = [f"call: WS ({functions}) WS {self.spell('</tool_call>')}"]
        for i, tool in enumerate(tools):
            lines += _function(i, tool)
        # Lazily: a text ends with the first line break and closing tag.
        text = r'text[suffix="\n</parameter>"]: /(.|\n)*/'
        return "\n".join([*lines, text, WS, ""])


def _function(index: int, tool: Tool) -> list[str]:
    schema = parameters_of(tool)
    required = schema.get("required", [])
    uses, rules = [], []
    for place, (name, definition) in enumerate(schema.get("properties", {}).items()):
        rule = f"parameter_{index}_{place}"
        uses.append(rule if name in required else f"{rule}?")
        opening = quoted(f"<parameter={name}>\n")
        rules.append(f"{rule}: WS {opening} {_value(definition, schema, tool)}")
    opening = quoted(f"<function={tool.name}>")
    return [f'function_{index}: {opening} {" ".join(uses)} WS "</function>"', *rules]


def _value(definition: Any, root: dict[str, Any], tool: Tool) -> str:
    """A parameter's value and its closing tag."""
    if _is_text(definition):
        words = definition.get("enum") or ([definition["const"]] if "const" in definition else [])
        if not words:
            return "text"
        return f'({" | ".join(map(quoted, words))}) "\\n</parameter>"'
    schema = definition if isinstance(definition, dict) else {}
    shared: dict[str, Any] = {key: root[key] for key in ("$defs", "definitions") if key in root}
    return f'{enforced_schema(shared | schema, tool)} "\\n</parameter>"'


def _is_text(definition: Any) -> bool:
    return isinstance(definition, dict) and definition.get("type") == "string"


def _read(text: str, schemas: dict[str, dict[str, Any]]) -> Calls:
    function = _FUNCTION.fullmatch(text)
    if function is None:
        raise ValueError("not a call")
    name, inside = function[1].strip(), function[2]
    if _PARAMETER.sub("", inside).strip():
        raise ValueError("more than parameters")
    properties = schemas.get(name, {}).get("properties", {})
    given = {
        parameter[1].strip(): _converted(parameter[2], properties.get(parameter[1].strip()))
        for parameter in _PARAMETER.finditer(inside)
    }
    return [(name, json.dumps(given, ensure_ascii=False))]


def _converted(value: str, definition: Any) -> Any:
    if _is_text(definition):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
