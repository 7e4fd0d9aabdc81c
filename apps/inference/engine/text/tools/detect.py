"""Which tool-call format a model's chat template asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2

from apps.inference.engine.text.tools import json_calls
from apps.inference.engine.text.tools.foreign import ForeignCalls
from apps.inference.engine.text.tools.formats import ToolFormat, quoted
from apps.inference.engine.text.tools.harmony import HarmonyCalls, speaks_harmony
from apps.inference.engine.text.tools.xml_calls import (
    GLM,
    LONGCAT,
    MINIMAX,
    QWEN_CODER,
    XmlCalls,
)

_TAGS = {
    "qwen3_coder": QWEN_CODER,
    "glm47": GLM,
    "laguna": GLM,
    "longcat": LONGCAT,
    "minimax_m2": MINIMAX,
}
"""By the names of mlx-lm's parsers."""


def template_source(tokenizer: Any, *, tools: bool = False) -> str:
    """A model's Jinja template; of several, the one for conversations with ``tools``."""
    templates = getattr(tokenizer, "chat_template", None)
    if isinstance(templates, dict):
        templates = (templates.get("tool_use") if tools else None) or templates.get("default")
    return templates if isinstance(templates, str) else ""


def names_in(source: str) -> frozenset[str]:
    """The names in a Jinja template: variables that it may look at are among them."""
    try:
        tokens = list(jinja2.Environment(autoescape=True).lex(source))
    except jinja2.TemplateSyntaxError:
        return frozenset()
    return frozenset(value for _, kind, value in tokens if kind == "name")


def speller(tokenizer: Any) -> Callable[[str], str]:
    """Markers as Lark terminals of llguidance.

    Special tokens stand for no text there and are named by their number.
    """
    special = special_tokens(tokenizer)
    return lambda marker: f"<[{special[marker]}]>" if marker in special else quoted(marker)


def special_tokens(tokenizer: Any) -> dict[str, int]:
    """Ids of the tokens that decoding leaves out, by their text."""
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
    return {token.content: number for number, token in added.items() if token.special}


def tool_format(tokenizer: Any) -> ToolFormat:
    """The format of a model with this tokenizer, mlx-lm's wrapper of a transformers one.

    A template that presents tools in a way that nobody here can read is not used for them.
    """
    spell = speller(tokenizer)
    source = template_source(tokenizer, tools=True)
    parser = tokenizer.tool_parser
    kind = parser.__module__.rpartition(".")[2] if parser else ""
    if source and "tools" not in names_in(source):
        return json_calls.hermes(spell, native=False)
    if source and speaks_harmony(tokenizer):
        return HarmonyCalls(spell)
    if kind == "mistral":
        named = "[ARGS]" in source
        return (json_calls.mistral_named if named else json_calls.mistral_list)(spell)
    if kind in _TAGS:
        return XmlCalls(spell, _TAGS[kind], parser)
    if kind == "json_tools" or (not kind and "<tool_call>" in source):
        return json_calls.hermes(spell)
    if kind:
        return ForeignCalls(tokenizer.tool_call_start, tokenizer.tool_call_end, parser)
    if '{"name": "' in source and '"parameters": ' in source:
        return json_calls.llama(spell)
    return json_calls.hermes(spell, native=False)
