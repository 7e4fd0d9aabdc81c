"""What sort of records these are, and the mapping that makes rows of them.

The shapes are those that the originals document: ShareGPT's ``conversations`` of ``from``
and ``value``; Alpaca's instruction, input and output; OpenAI's chat ``messages`` with
``tools``; prompt and completion; chosen and rejected answers; plain ``text``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.datasets.formats.mapping import Mapping, Target
from apps.datasets.formats.messages import listed

SAMPLED = 200
"""Records that are looked at."""


@dataclass(frozen=True)
class Kind:
    """A shape of records that is recognised by itself."""

    name: str
    label: str
    mapping: Mapping


UNKNOWN = Kind("unknown", "Columns to be mapped", Mapping(Target.TEXT, {}))

_MESSAGES = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat")
_PROMPTS = ("prompt", "question", "query", "input", "user", "problem")
_ANSWERS = ("completion", "response", "answer", "output", "assistant", "solution", "target")
_PAIRS = (("chosen", "rejected"), ("preferred_output", "non_preferred_output"))
_TEXTS = ("text", "content", "document", "body")


def recognise(records: Sequence[dict[str, Any]]) -> Kind:
    """The kind of which most of the records are; UNKNOWN where their columns tell nothing."""
    if not records:
        return UNKNOWN
    keys = [key for key in records[0] if _share(records, key) > 0.5]
    names = {key.lower(): key for key in keys}
    first = {key: _first(records, key) for key in keys}
    return _preferences(names, first) or _chat(names, first) or _columns(names) or UNKNOWN


def _preferences(names: dict[str, str], first: dict[str, Any]) -> Kind | None:
    pair = next((pair for pair in _PAIRS if all(name in names for name in pair)), None)
    if pair is None:
        return None
    roles = {
        role: _column(names[name]) for role, name in zip(("chosen", "rejected"), pair, strict=True)
    }
    if prompt := _any(names, _PROMPTS):
        nested = isinstance(first[prompt], dict) and "messages" in first[prompt]
        roles["prompt"] = _column(f"{prompt}.messages" if nested else prompt)
    return Kind("preference", "Preference pairs", Mapping(Target.PREFERENCE, roles))


def _chat(names: dict[str, str], first: dict[str, Any]) -> Kind | None:
    for name in _MESSAGES:
        column = names.get(name)
        messages = [] if column is None else listed(first[column])
        if column is None or not _are_messages(messages):
            continue
        roles = {"messages": _column(column)}
        if "system" in names:
            roles["system"] = _column(names["system"])
        if tools := _any(names, ("tools", "functions")):
            roles["tools"] = _column(tools)
        if "from" in messages[0]:
            return Kind("sharegpt", "ShareGPT conversations", Mapping(Target.CHAT, roles))
        label = "OpenAI chat with tools" if tools else "OpenAI chat"
        return Kind("tools" if tools else "openai", label, Mapping(Target.CHAT, roles))
    return None


def _columns(names: dict[str, str]) -> Kind | None:
    if "instruction" in names and (answer := _any(names, ("output", "response", "completion"))):
        user = _column(names["instruction"])
        if extra := _any(names, ("input", "context")):
            user += "\n\n" + _column(extra)
        roles = {"user": user, "assistant": _column(answer)}
        if "system" in names:
            roles["system"] = _column(names["system"])
        return Kind("alpaca", "Alpaca instructions", Mapping(Target.CHAT, roles))
    prompt, answer = _any(names, _PROMPTS), _any(names, _ANSWERS)
    if prompt and answer and prompt != answer:
        roles = {"prompt": _column(prompt), "completion": _column(answer)}
        return Kind("completion", "Prompts and completions", Mapping(Target.COMPLETION, roles))
    if text := _any(names, _TEXTS):
        return Kind("text", "Plain text", Mapping(Target.TEXT, {"text": _column(text)}))
    return None


def _share(records: Sequence[dict[str, Any]], key: str) -> float:
    return sum(key in record for record in records) / len(records)


def _first(records: Sequence[dict[str, Any]], key: str) -> Any:
    return next((record[key] for record in records if record.get(key)), None)


def _any(names: dict[str, str], wanted: Sequence[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _are_messages(value: list[Any]) -> bool:
    return bool(value) and isinstance(value[0], dict) and bool({"role", "from"} & value[0].keys())


def _column(name: str) -> str:
    return "{" + name + "}"
