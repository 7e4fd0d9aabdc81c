"""Formats that write calls as JSON: Hermes and Qwen, Llama 3, Mistral.

<tool_call>{"name": "f", "arguments": {…}}</tool_call>      Hermes, Qwen 2.5 and 3
{"name": "f", "parameters": {…}}                            Llama 3
[TOOL_CALLS] [{"name": "f", "arguments": {…}}, …]           Mistral, up to 2024
[TOOL_CALLS]f[ARGS]{…}                                      Mistral, since then
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlx_lm.tool_parsers import mistral as mistral_parser

from apps.inference.engine.protocol import Tool
from apps.inference.engine.text.tools.formats import (
    WS,
    Arguments,
    CallBody,
    Calls,
    Name,
    Opening,
    Part,
    Plain,
    enforced_schema,
    parameters_of,
    quoted,
    read_whole,
)
from apps.inference.engine.text.tools.json_scanner import JsonScanner

Spell = Callable[[str], str]
"""A marker as a Lark terminal: its special token, where the model has one, or its text."""


@dataclass(frozen=True)
class JsonCalls:
    """A format of this family."""

    openings: tuple[Opening, ...]
    header: re.Pattern[str]
    """From behind the opening to the arguments."""
    tail: re.Pattern[str]
    """From behind the arguments to the call's end; group ``more``: another one follows."""
    closing: str
    """Where a call that can't be read is over; empty: at the answer's end."""
    before: str
    """Lark of what precedes a call's name, the opening left out; ``{after_key}`` likewise."""
    between: str
    """Lark between name and arguments."""
    behind: str
    """Lark of what follows the arguments."""
    read: Callable[[str], Calls]
    spell: Spell
    markers: tuple[str, ...]
    lists: bool = False
    """Whether one opening stands before all calls, which a bracket closes."""
    native: bool = True
    short_ids: bool = False

    def whole(self, tools: Sequence[Tool], *, most: int) -> str:
        opening = self.openings[0]
        if opening.at_start:
            return f"calls: {quoted(opening.text)} named\n{self._rules(tools)}"
        start = self.spell(opening.text)
        more = most - 1
        if self.lists:
            listed = f'("," WS call){{0,{more}}} WS' if more else "WS"
            calls = f'{start} WS "[" WS call {listed} "]"'
        else:
            calls = f"one (WS one){{0,{more}}}" if more else "one"
        one = "" if self.lists else f"one: {start} {self._lead} call\n"
        return f"calls: {calls}\n{one}{self._rules(tools)}"

    def after(self, opening: Opening, tools: Sequence[Tool]) -> str:
        if opening.at_start:
            start = "named"
        elif self.lists:
            start = 'WS "[" WS call ("," WS call)* WS "]"'
        else:
            start = f"{self._lead} call"
        return f"start: {start}\n{self._rules(tools)}"

    def body(self, opening: Opening, tools: Sequence[Tool], *, enforced: bool) -> CallBody:
        return _JsonBody(self, opening, [tool.name for tool in tools], enforced=enforced)

    @property
    def _lead(self) -> str:
        return "WS" if self.before else ""

    def _rules(self, tools: Sequence[Tool]) -> str:
        """``call``: one call; ``named``: the same from behind its ``"name"``."""
        named = " | ".join(f"named_{i}" for i in range(len(tools)))
        colon = 'WS ":" WS ' if self.before else ""
        lines = [f"call: {self.before} named", f"named: {named}"]
        for i, tool in enumerate(tools):
            name = quoted(quoted(tool.name) if self.before else tool.name)
            lines.append(f"named_{i}: {colon}{name} {self.between} args_{i} {self.behind}")
            lines.append(f"args_{i}: {enforced_schema(parameters_of(tool), tool)}")
        return "\n".join([*lines, WS, ""])


class _JsonBody:
    """Header, arguments and tail of one call, and of those that follow in the same opening.

    Where the form is enforced, arguments are told while they are written; elsewhere, when
    they are complete and JSON.
    """

    def __init__(
        self, form: JsonCalls, opening: Opening, names: Sequence[str], *, enforced: bool
    ) -> None:
        self._form = form
        self._enforced = enforced
        self._names = frozenset(names)
        self._before = "" if opening.at_start else opening.text
        self._held = opening.text if opening.at_start else ""
        """What was not read yet."""
        self._untold = ""
        """What was read of a call that is not known to be one yet."""
        self._name = ""
        self._scanner: JsonScanner | None = None
        """Of the arguments that are being written, or were last."""
        self._in_tail = False
        self.finished = False
        self.rest = ""

    def feed(self, text: str) -> list[Part]:
        self._held += text
        parts: list[Part] = []
        while not self.finished and self._advance(parts):
            pass
        return parts

    def close(self) -> list[Part]:
        if self.finished or self._in_tail:
            return []
        if self._scanner is not None:  # cut off
            return [Plain(self._before + self._untold)] if self._untold else []
        held, self._held = self._held, ""
        return self._unread(held, "") if held.strip() or self._before else []

    def _advance(self, parts: list[Part]) -> bool:
        """Go on by one stage; whether there is more to be read now."""
        if self._in_tail:
            return self._read_tail()
        if self._scanner is not None:
            return self._read_arguments(self._scanner, parts)
        return self._read_header(parts)

    def _read_header(self, parts: list[Part]) -> bool:
        header = self._form.header.match(self._held)
        if header and header["name"] in self._names:
            self._name = header["name"]
            if self._enforced:
                parts.append(Name(self._name))
            else:
                self._untold = header.group()
            self._held = self._held[header.end() :]
            self._scanner = JsonScanner()
            return True
        closing = self._form.closing
        at = self._held.find(closing) if closing else -1
        if at >= 0:
            held, behind = self._held[:at], self._held[at + len(closing) :]
            parts += self._unread(held, closing)
            self._finish(behind)
        return False

    def _read_arguments(self, scanner: JsonScanner, parts: list[Part]) -> bool:
        taken = scanner.feed(self._held)
        given, self._held = self._held[:taken], self._held[taken:]
        if self._enforced:
            parts += [Arguments(given)] if given else []
        else:
            self._untold += given
            if scanner.complete and not self._tell_whole(parts):
                return False
        self._in_tail = scanner.complete
        return scanner.complete

    def _tell_whole(self, parts: list[Part]) -> bool:
        """Whether what was kept is a call."""
        header = self._form.header.match(self._untold)
        assert header is not None
        given = self._untold[header.end() :]
        try:
            json.loads(given)
        except (ValueError, RecursionError):
            parts.append(Plain(self._before + self._untold))
            self._finish(self._held)
            return False
        parts += [Name(self._name), Arguments(given)]
        self._untold = ""
        return True

    def _read_tail(self) -> bool:
        tail = self._form.tail.match(self._held)
        if tail is None:
            return False
        self._held = self._held[tail.end() :]
        self._in_tail = False
        if tail.groupdict().get("more"):
            self._scanner, self._before = None, ""
            return True
        self._finish(self._held)
        return False

    def _finish(self, behind: str) -> None:
        self.finished, self.rest, self._held = True, behind, ""

    def _unread(self, held: str, closing: str) -> list[Part]:
        return read_whole(held, self._form.read, self._names) or [
            Plain(f"{self._before}{held}{closing}")
        ]


def hermes(spell: Spell, *, native: bool = True) -> JsonCalls:
    """https://github.com/NousResearch/Hermes-Function-Calling"""
    return JsonCalls(
        openings=(Opening("<tool_call>"),),
        header=_header("arguments|parameters"),
        tail=re.compile(r".*?</tool_call>", re.DOTALL),
        closing="</tool_call>",
        before=_BEFORE,
        between=_between("arguments"),
        behind=f'WS "}}" WS {spell("</tool_call>")}',
        read=_read_objects,
        spell=spell,
        markers=("<tool_call>", "</tool_call>"),
        native=native,
    )


def llama(spell: Spell) -> JsonCalls:
    """https://www.llama.com/docs/model-cards-and-prompt-formats/llama3_1/"""
    return JsonCalls(
        openings=(Opening('{"name"', at_start=True), Opening("<|python_tag|>")),
        header=_header("parameters|arguments"),
        tail=re.compile(r"\s*\}"),
        closing="",
        before=_BEFORE,
        between=_between("parameters"),
        behind='WS "}"',
        read=_read_objects,
        spell=spell,
        markers=("<|python_tag|>",),
    )


def mistral_list(spell: Spell) -> JsonCalls:
    """https://github.com/mistralai/mistral-common, tokenizer versions 1 to 3"""
    return JsonCalls(
        openings=(Opening("[TOOL_CALLS]"),),
        header=_header("arguments", start=r"\s*\[?\s*"),
        tail=re.compile(r'\s*(?:,\s*"id"\s*:\s*"[^"]*"\s*)?\}\s*(?:(?P<more>,)|\])'),
        closing="",
        before=_BEFORE,
        between=_between("arguments"),
        behind='WS "}"',
        read=_read_mistral,
        spell=spell,
        markers=("[TOOL_CALLS]",),
        lists=True,
        short_ids=True,
    )


def mistral_named(spell: Spell) -> JsonCalls:
    """https://github.com/mistralai/mistral-common, tokenizer versions from 11 on"""
    return JsonCalls(
        openings=(Opening("[TOOL_CALLS]"),),
        header=re.compile(r"\s*(?P<name>[\w.-]+)(?:\[CALL_ID\]\w*)?\[ARGS\]\s*(?=\{)"),
        tail=re.compile(r""),
        closing="",
        before="",
        between=spell("[ARGS]"),
        behind="",
        read=_read_mistral,
        spell=spell,
        markers=("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"),
        short_ids=True,
    )


_BEFORE = '"{" WS ' + quoted('"name"')


def _between(key: str) -> str:
    return f'WS "," WS {quoted(quoted(key))} WS ":" WS'


def _header(keys: str, start: str = r"\s*") -> re.Pattern[str]:
    return re.compile(
        start + r'\{\s*"name"\s*:\s*"(?P<name>[^"\\]+)"\s*,\s*"(?:' + keys + r')"\s*:\s*(?=\{)'
    )


def _read_objects(text: str) -> Calls:
    """Calls as JSON objects, or a list of such; several may follow each other, as Llama's do."""
    decoder, calls, text = json.JSONDecoder(), list[object](), text.strip(" \t\r\n;")
    while text:
        value, end = decoder.raw_decode(text)
        calls += value if isinstance(value, list) else [value]
        text = text[end:].lstrip(" \t\r\n;")
    return [_call(call) for call in calls]


def _call(value: object) -> tuple[str, str]:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError("not a call")
    given = value.get("arguments", value.get("parameters", {}))
    if isinstance(given, str):
        given = json.loads(given)
    if not isinstance(given, dict):
        raise ValueError("the arguments are no object")
    return value["name"], json.dumps(given, ensure_ascii=False)


def _read_mistral(text: str) -> Calls:
    read = mistral_parser.parse_tool_call(text)
    return [_call(call) for call in (read if isinstance(read, list) else [read])]
