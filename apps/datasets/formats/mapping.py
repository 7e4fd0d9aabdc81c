"""Records to rows: which column, constant or template plays which role.

A role's source is a template: ``{question}`` is a column, ``{meta.title}`` a nested field,
``Answer briefly.`` a constant, ``{instruction}\\n\\n{input}`` two columns. ``{{`` and ``}}``
are braces. Rows are what mlx_lm.tuner.datasets reads: ``messages`` with ``tools``, ``prompt``
and ``completion``, or ``text``; pairs have ``prompt``, ``chosen`` and ``rejected``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from apps.datasets.formats.conditions import Condition, all_hold
from apps.datasets.formats.errors import BadMapping
from apps.datasets.formats.fields import as_text, field_of
from apps.datasets.formats.messages import conversation, last_answer, read_tools, transcript

_PART = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]")
_BLANK_LINES = re.compile(r"\n{3,}")


class Target(StrEnum):
    """What the rows are to be."""

    CHAT = "chat"
    COMPLETION = "completion"
    TEXT = "text"
    PREFERENCE = "preference"


ROLES: dict[Target, tuple[str, ...]] = {
    Target.CHAT: ("system", "user", "assistant", "messages", "tools"),
    Target.COMPLETION: ("prompt", "completion"),
    Target.TEXT: ("text",),
    Target.PREFERENCE: ("prompt", "chosen", "rejected"),
}
"""The roles of each target, in the order of a conversation."""

_NEEDED: dict[Target, tuple[str, ...]] = {
    Target.COMPLETION: ("prompt", "completion"),
    Target.TEXT: ("text",),
    Target.PREFERENCE: ("chosen", "rejected"),
}

LEARNT = ("messages", "tools", "prompt", "completion", "chosen", "rejected", "text")
"""Fields of a row that the trainer reads. Digests of rows depend on their order."""

MAX_TEMPLATE = 10_000
"""Characters of a template."""


@dataclass(frozen=True)
class Mapping:
    """Sources by role, what is kept beside them, and of which records."""

    target: Target
    roles: dict[str, str]
    keep: tuple[str, ...] = field(default=())
    """Columns that stay in the row for splitting and filtering; training does not see them."""
    where: tuple[Condition, ...] = field(default=())
    """What a record has to meet; the others make no row."""

    def as_json(self) -> dict[str, Any]:
        return {
            "target": str(self.target),
            "roles": self.roles,
            "keep": list(self.keep),
            "where": [condition.as_json() for condition in self.where],
        }

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> Mapping:
        """Raises BadMapping."""
        where = tuple(Condition.of_json(each) for each in value.get("where", ()))
        keep = tuple(value.get("keep", ()))
        return cls(Target(value["target"]), dict(value["roles"]), keep, where)

    def check(self, columns: Iterable[str]) -> None:
        """Raises BadMapping where a role is missing or a column is not there."""
        used = {role for role, source in self.roles.items() if source.strip()}
        if self.target == Target.CHAT:
            missing = [] if "messages" in used else sorted({"user", "assistant"} - used)
        else:
            missing = [role for role in _NEEDED[self.target] if role not in used]
        if missing:
            raise BadMapping(f"Nothing is mapped to {' and '.join(missing)}. Choose a column.")
        if learnt := sorted(set(LEARNT) & set(self.keep)):
            raise BadMapping(
                f"{learnt[0]} can't be kept beside the row: the trainer would take it for a part "
                "of it. Leave it out, or put it into a template."
            )
        known = set(columns)
        for role in ROLES[self.target]:
            for path in paths_in(self.roles.get(role, "")):
                _require_known(role, path, known)
        for condition in self.where:
            _require_known("A condition", condition.field, known)

    def takes(self, record: dict[str, Any]) -> bool:
        """Whether the record meets every condition, and so makes a row."""
        return all_hold(self.where, record)

    def apply(self, record: dict[str, Any]) -> dict[str, Any]:
        """The row of a record. Values that are no text become JSON; absent ones are empty."""
        row = _MAKERS[self.target](self.roles, record)
        for name in self.keep:
            if name not in row and name in record:
                row[name] = record[name]
        return row


def paths_in(template: str) -> Iterator[str]:
    """The columns and nested fields that a template names."""
    for found in _PART.finditer(template):
        if found[1]:
            yield found[1].strip()


def _require_known(who: str, path: str, known: set[str]) -> None:
    if path not in known and path.partition(".")[0] not in known:
        raise BadMapping(
            f"{who} names the column {path!r}, which is not there. There are: "
            f"{', '.join(sorted(known)[:20])}."
        )


def filled(template: str, record: dict[str, Any]) -> str:
    """The template with the record's fields in it, without the blank lines of empty ones."""

    def part(found: re.Match[str]) -> str:
        if found[1]:
            return as_text(field_of(record, found[1].strip()))
        return found[0][0]

    return _BLANK_LINES.sub("\n\n", _PART.sub(part, template)).strip()


def _value(template: str, record: dict[str, Any]) -> Any:
    """A field as it is where the template is nothing but its name, else text."""
    found = _PART.fullmatch(template.strip())
    if found and found[1]:
        return field_of(record, found[1].strip())
    return filled(template, record)


def _chat(roles: dict[str, str], record: dict[str, Any]) -> dict[str, Any]:
    system = filled(roles.get("system", ""), record)
    if source := roles.get("messages"):
        messages = conversation(_value(source, record))
    else:
        messages = [
            {"role": role, "content": filled(roles.get(role, ""), record)}
            for role in ("user", "assistant")
        ]
    if system and not (messages and messages[0].get("role") == "system"):
        messages = [{"role": "system", "content": system}, *messages]
    row: dict[str, Any] = {"messages": messages}
    if tools := read_tools(_value(roles.get("tools", ""), record)):
        row["tools"] = tools
    return row


def _completion(roles: dict[str, str], record: dict[str, Any]) -> dict[str, Any]:
    return {role: filled(roles[role], record) for role in ("prompt", "completion")}


def _text(roles: dict[str, str], record: dict[str, Any]) -> dict[str, Any]:
    return {"text": filled(roles["text"], record)}


def _preference(roles: dict[str, str], record: dict[str, Any]) -> dict[str, Any]:
    chosen, rejected = (_value(roles[role], record) for role in ("chosen", "rejected"))
    prompt: Any = _value(roles.get("prompt", ""), record)
    # Anthropic's pairs are transcripts, and have no prompt of their own.
    if not prompt and isinstance(chosen, str) and isinstance(rejected, str):
        chosen, rejected = transcript(chosen) or chosen, transcript(rejected) or rejected
    if isinstance(chosen, list) and isinstance(rejected, list):
        # UltraFeedback and its like repeat the conversation in both answers; TRL and OpenAI don't.
        repeated = conversation(chosen)[:-1]
        if repeated and (not prompt or isinstance(prompt, list)):
            prompt = repeated
        chosen, rejected = last_answer(chosen), last_answer(rejected)
    prompt = conversation(prompt) if isinstance(prompt, list) else as_text(prompt)
    return {"prompt": prompt, "chosen": as_text(chosen), "rejected": as_text(rejected)}


_MAKERS = {
    Target.CHAT: _chat,
    Target.COMPLETION: _completion,
    Target.TEXT: _text,
    Target.PREFERENCE: _preference,
}
