"""gpt-oss' answers: messages in channels, of which one may be a call.

    <|channel|>analysis<|message|>…<|end|><|start|>assistant
    <|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}<|call|>
    <|channel|>final<|message|>…<|return|>

A turn ends with its call, so there is never more than one. The last token of a turn is an end
token of the model. https://cookbook.openai.com/articles/openai-harmony
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from apps.inference.engine.protocol import Tool
from apps.inference.engine.text.tools.formats import (
    CallBody,
    Opening,
    enforced_schema,
    parameters_of,
    quoted,
)

START, CHANNEL, MESSAGE = "<|start|>", "<|channel|>", "<|message|>"
END, CALL, CONSTRAIN = "<|end|>", "<|call|>", "<|constrain|>"

MARKERS = (START, CHANNEL, MESSAGE, END, CONSTRAIN)
"""Those that an answer holds before its end."""


def speaks_harmony(tokenizer: Any) -> bool:
    """Whether a model with this tokenizer, mlx-lm's wrapper, answers in channels."""
    known = tokenizer.get_vocab()
    return all(marker in known for marker in (*MARKERS, CALL))


@dataclass(frozen=True)
class HarmonyCalls:
    """Enforced where a call is forced. Elsewhere ``HarmonyReader`` reads calls when they are
    whole: what opens one can be written in too many ways."""

    spell: Callable[[str], str]
    native: bool = True
    short_ids: bool = False
    openings: tuple[Opening, ...] = ()
    markers: tuple[str, ...] = MARKERS

    def whole(self, tools: Sequence[Tool], *, most: int) -> str:
        """One call, whatever ``most`` allows, and what the model thinks before it."""
        return f"calls: thought? call\n{self._call_rules(tools)}{self._thought_rules()}"

    def after(self, opening: Opening, tools: Sequence[Tool]) -> str | None:
        return None

    def body(self, opening: Opening, tools: Sequence[Tool], *, enforced: bool) -> CallBody:
        raise NotImplementedError("calls in channels are read by HarmonyReader")

    def final(self, content: str) -> str:
        """A grammar of answers whose final text is ``content``, which is Lark."""
        return f"start: thought? final\n{self._final_rule(content)}{self._thought_rules()}"

    def call_or_final(self, tools: Sequence[Tool], content: str) -> str:
        """The same where the answer may be a call instead."""
        rules = f"{self._call_rules(tools)}{self._final_rule(content)}{self._thought_rules()}"
        return f"start: thought? (call | final)\n{rules}"

    def _thought_rules(self) -> str:
        channel, message, end, start = map(self.spell, (CHANNEL, MESSAGE, END, START))
        thought = f'{channel} "analysis" {message} anything {end} {start} "assistant"'
        return f"thought: {thought}\nanything: /(.|\\n)*/\n"

    def _final_rule(self, content: str) -> str:
        return f'final: {self.spell(CHANNEL)} "final" {self.spell(MESSAGE)} content\ncontent: {content}\n'

    def _call_rules(self, tools: Sequence[Tool]) -> str:
        named = " | ".join(f"named_{i}" for i in range(len(tools)))
        lines = [f'call: {self.spell(CHANNEL)} "commentary to=functions." ({named})']
        for i, tool in enumerate(tools):
            header = (
                f'{quoted(f"{tool.name} ")} {self.spell(CONSTRAIN)} "json" {self.spell(MESSAGE)}'
            )
            lines.append(f"named_{i}: {header} args_{i}")
            lines.append(f"args_{i}: {enforced_schema(parameters_of(tool), tool)}")
        return "\n".join([*lines, ""])
