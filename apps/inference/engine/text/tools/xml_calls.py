"""Calls as tags: Qwen3-Coder, GLM and Laguna, LongCat, MiniMax.

    <tool_call>                       <tool_call>f
    <function=f>                      <arg_key>city</arg_key>
    <parameter=city>                  <arg_value>Paris</arg_value>
    Paris                             </tool_call>
    </parameter>
    </function>
    </tool_call>

Texts stand as they are, everything else as JSON. A text's enumeration is enforced; its
pattern, format and length are not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from apps.inference.engine.protocol import Tool
from apps.inference.engine.text.tools.foreign import read_by
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


@dataclass(frozen=True)
class TagStyle:
    """How a family writes its tags; ``{}`` stands for a name."""

    opening: str
    closing: str
    function: str
    function_end: str
    parameter: tuple[str, ...]
    """From the parameter's name to its value; white space may stand between the parts."""
    value_end: str
    tags: tuple[str, ...] = ()
    """More tags that may be special tokens of the model."""
    several: bool = False
    """Whether one opening stands before all calls."""

    @cached_property
    def function_pattern(self) -> re.Pattern[str]:
        pattern = rf"\s*{_loose(self.function)}(?P<inside>.*?){_loose(self.function_end)}\s*"
        return re.compile(pattern, re.DOTALL)

    @cached_property
    def parameter_pattern(self) -> re.Pattern[str]:
        before = r"\s*".join(map(_loose, self.parameter))
        return re.compile(rf"\s*{before}(?P<value>.*?){_loose(self.value_end)}\s*", re.DOTALL)


QWEN_CODER = TagStyle(
    opening="<tool_call>",
    closing="</tool_call>",
    function="<function={}>",
    function_end="</function>",
    parameter=("<parameter={}>\n",),
    value_end="\n</parameter>",
)
"""https://huggingface.co/Qwen/Qwen3-Coder-30B-A3B-Instruct"""

GLM = TagStyle(
    opening="<tool_call>",
    closing="</tool_call>",
    function="{}",
    function_end="",
    parameter=("<arg_key>{}</arg_key>", "<arg_value>"),
    value_end="</arg_value>",
    tags=("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
)
"""https://huggingface.co/zai-org/GLM-4.6, which Laguna follows"""

LONGCAT = TagStyle(
    opening="<longcat_tool_call>",
    closing="</longcat_tool_call>",
    function="{}",
    function_end="",
    parameter=("<longcat_arg_key>{}</longcat_arg_key>", "<longcat_arg_value>"),
    value_end="</longcat_arg_value>",
    tags=(
        "<longcat_arg_key>",
        "</longcat_arg_key>",
        "<longcat_arg_value>",
        "</longcat_arg_value>",
    ),
)
"""https://huggingface.co/meituan-longcat/LongCat-Flash-Chat"""

MINIMAX = TagStyle(
    opening="<minimax:tool_call>",
    closing="</minimax:tool_call>",
    function='<invoke name="{}">',
    function_end="</invoke>",
    parameter=('<parameter name="{}">',),
    value_end="</parameter>",
    several=True,
)
"""https://huggingface.co/MiniMaxAI/MiniMax-M2"""


@dataclass(frozen=True)
class XmlCalls:
    spell: Callable[[str], str]
    style: TagStyle = QWEN_CODER
    parse: Callable[..., Any] | None = None
    """mlx-lm's parser, for what a model writes in another form than it was asked to."""
    native: bool = True
    short_ids: bool = False

    @property
    def openings(self) -> tuple[Opening, ...]:
        return (Opening(self.style.opening),)

    @property
    def markers(self) -> tuple[str, ...]:
        return (self.style.opening, self.style.closing, *self.style.tags)

    def whole(self, tools: Sequence[Tool], *, most: int) -> str:
        start, more = self.spell(self.style.opening), most - 1
        if self.style.several:
            calls = f"{start} {self._listed(f'{{0,{more}}}' if more else '')}"
            return f"calls: {calls}\n{self._rules(tools)}"
        many = f"(WS one){{0,{more}}}" if more else ""
        return f"calls: one {many}\none: {start} call\n{self._rules(tools)}"

    def after(self, opening: Opening, tools: Sequence[Tool]) -> str:
        start = self._listed("*") if self.style.several else "call"
        return f"start: {start}\n{self._rules(tools)}"

    def body(self, opening: Opening, tools: Sequence[Tool], *, enforced: bool) -> CallBody:
        schemas = {tool.name: parameters_of(tool) for tool in tools}
        read = partial(self._read, schemas=schemas, tools=tools)
        return WholeBody(opening, self.style.closing, read, list(schemas))

    def _listed(self, more: str) -> str:
        """Calls up to the closing tag: one, and ``more``, a repetition or nothing."""
        others = f"(WS call){more} " if more else ""
        return f"WS call {others}WS {self.spell(self.style.closing)}"

    # --- its grammar --------------------------------------------------------

    def _rules(self, tools: Sequence[Tool]) -> str:
        functions = " | ".join(f"function_{i}" for i in range(len(tools)))
        closing = "" if self.style.several else f" WS {self.spell(self.style.closing)}"
        lead = "" if self.style.several else "WS "
        lines = [f"call: {lead}({functions}){closing}"]
        for i, tool in enumerate(tools):
            lines += self._function(i, tool)
        return "\n".join([*lines, self._text_rule(), WS, ""])

    def _text_rule(self) -> str:
        """A text up to the tag that ends it, the first that comes."""
        end = self.spell(self.style.value_end)
        if end == quoted(self.style.value_end):
            return f"text[suffix={end}]: /(.|\\n)*/"
        return f"text: /(.|\\n)*/ {end}"

    def _function(self, index: int, tool: Tool) -> list[str]:
        schema = parameters_of(tool)
        required = schema.get("required", [])
        uses, rules = [], []
        for place, (name, definition) in enumerate(schema.get("properties", {}).items()):
            rule = f"parameter_{index}_{place}"
            uses.append(rule if name in required else f"{rule}?")
            before = " WS ".join(self._spelled(part, name) for part in self.style.parameter)
            rules.append(f"{rule}: WS {before} {self._value(definition, schema, tool)}")
        opening = self._spelled(self.style.function, tool.name)
        end = f" WS {quoted(self.style.function_end)}" if self.style.function_end else ""
        return [f"function_{index}: {opening} {' '.join(uses)}{end}", *rules]

    def _spelled(self, text: str, name: str) -> str:
        """A piece of tags with a name in it, as Lark terminals."""
        if not self.style.tags:
            return quoted(text.format(name))
        tags = "|".join(map(re.escape, self.style.tags))
        parts = [part.format(name) for part in re.split(f"({tags})", text) if part]
        return " ".join(map(self.spell, parts))

    def _value(self, definition: Any, root: dict[str, Any], tool: Tool) -> str:
        """A parameter's value and the tag that ends it."""
        end = self.spell(self.style.value_end)
        if _is_text(definition):
            words = definition.get("enum") or (
                [definition["const"]] if "const" in definition else []
            )
            return f"({' | '.join(map(quoted, words))}) {end}" if words else "text"
        schema = definition if isinstance(definition, dict) else {}
        shared: dict[str, Any] = {key: root[key] for key in ("$defs", "definitions") if key in root}
        return f"{enforced_schema(shared | schema, tool)} {end}"

    # --- reading ------------------------------------------------------------

    def _read(
        self, text: str, *, schemas: dict[str, dict[str, Any]], tools: Sequence[Tool]
    ) -> Calls:
        """Raises ValueError for what is no call."""
        try:
            return [self._call(each, schemas) for each in self._functions(text)]
        except ValueError:
            if self.parse is None:
                raise
            return read_by(self.parse, text, tools)

    def _functions(self, text: str) -> list[re.Match[str]]:
        """The functions that ``text`` is made of: one, or several where the style has such."""
        pattern = self.style.function_pattern
        if self.style.several:
            found, rest = list(pattern.finditer(text)), pattern.sub("", text)
            if found and not rest.strip():
                return found
        elif whole := pattern.fullmatch(text):
            return [whole]
        raise ValueError("not a call")

    def _call(self, function: re.Match[str], schemas: dict[str, dict[str, Any]]) -> tuple[str, str]:
        name, inside = function["name"].strip(), function["inside"]
        pattern = self.style.parameter_pattern
        if pattern.sub("", inside).strip():
            raise ValueError("more than parameters")
        properties = schemas.get(name, {}).get("properties", {})
        given = {}
        for parameter in pattern.finditer(inside):
            key = parameter["name"].strip()
            given[key] = _converted(parameter["value"], properties.get(key))
        return name, json.dumps(given, ensure_ascii=False)


def _loose(text: str) -> str:
    """A pattern of tags as models write them: a name for ``{}``, line breaks or none."""
    escaped = re.escape(text).replace(re.escape("{}"), r"(?P<name>[^<>\"\n]+)")
    return escaped.replace("\\\n", r"\n?")


def _is_text(definition: Any) -> bool:
    return isinstance(definition, dict) and definition.get("type") == "string"


def _converted(value: str, definition: Any) -> Any:
    if _is_text(definition):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
