"""Rows, problems and lengths as the pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.datasets.formats.checks import DESCRIPTIONS, Problem, problems_of
from apps.datasets.formats.fields import as_text
from apps.datasets.formats.personal import LABELS, Personal, personal_in
from apps.datasets.formats.reading.records import FAULTS, Fault
from apps.datasets.formats.store.reading import Wanted
from apps.datasets.language_names import language_name
from apps.datasets.models import DatasetVersion

MAX_TEXT = 20_000
"""Characters of one part that a page shows."""
_NEAR_ONLY = Wanted(problem=Problem.NEAR_DUPLICATE)
_CLIPPED = 240
_CHART_HEIGHT = 120
_BAR_WIDTH = 20


@dataclass(frozen=True)
class Part:
    """One text of a row, and whose it is."""

    role: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A row as its parts, and what is wrong with it."""

    parts: list[Part]
    problems: list[str]


@dataclass(frozen=True)
class Count:
    """How many rows are so."""

    name: str
    label: str
    hint: str
    count: int
    is_error: bool = False


@dataclass(frozen=True)
class ChartBar:
    """One bar of a histogram, in the units of its drawing."""

    x: int
    y: float
    height: float
    label: str
    is_cut: bool


def shown(row: dict[str, Any]) -> Shown:
    """A row that was judged just now."""
    parts = parts_of(row)
    labels = labels_of(problems_of(row), personal_in(part.text for part in parts))
    return Shown(parts, labels)


def parts_of(row: dict[str, Any]) -> list[Part]:
    """The texts of a row in their order; of a row of columns one for each."""
    parts: list[Part] = []
    for name, value in row.items():
        if name in ("messages", "prompt") and isinstance(value, list):
            parts += [_message(message) for message in value]
        else:
            parts.append(Part(name, _cut(as_text(value))))
    return parts


def clip_of(row: dict[str, Any]) -> str:
    """One line of a row, for a table."""
    texts = (" ".join(part.text.split()) for part in parts_of(row) if part.role != "system")
    return " → ".join(filter(None, texts))[:_CLIPPED]


def labels_of(problems: Problem, personal: Personal) -> list[str]:
    """What is wrong with a row, and personal in it, in words."""
    wrong = [said.label for bit, said in DESCRIPTIONS.items() if bit & problems]
    return wrong + [label for bit, label in LABELS.items() if bit & personal]


def problem_counts(version: DatasetVersion) -> list[Count]:
    """The problems that rows of this version have."""
    counts = dict(version.facts["problems"])
    if near := len(version.files.numbers(_NEAR_ONLY)):
        counts[Problem.NEAR_DUPLICATE.name] = near
    return [
        Count(str(bit.name), said.label, said.hint, counts[bit.name], said.is_error)
        for bit, said in DESCRIPTIONS.items()
        if counts.get(bit.name)
    ]


def personal_counts(version: DatasetVersion) -> list[Count]:
    """The kinds of personal data that rows of this version have."""
    counts = version.facts["personal"]
    return [
        Count(str(bit.name), label, "", counts[bit.name])
        for bit, label in LABELS.items()
        if counts.get(bit.name)
    ]


def language_counts(version: DatasetVersion) -> list[Count]:
    """The languages of the rows, the most frequent first; none where nobody looked."""
    counts = version.files.languages()
    return [Count(code, language_name(code), "", count) for code, count in counts.items()]


def unreadable_of(version: DatasetVersion) -> list[dict[str, Any]]:
    """What an import could not read: how often, and some places."""
    faults = version.facts.get("unreadable", {})
    samples = version.facts.get("unreadable_samples", {})
    return [
        {"label": FAULTS[Fault(fault)], "count": count, "samples": samples.get(fault, [])}
        for fault, count in faults.items()
    ]


def bars_of(bars: list[dict[str, int]], limit: int | None = None) -> list[ChartBar]:
    """A histogram to draw: bars side by side, those behind the limit marked."""
    top = max((bar["count"] for bar in bars), default=0) or 1
    drawn = []
    for place, bar in enumerate(bars):
        height = round(_CHART_HEIGHT * bar["count"] / top, 1)
        height = max(height, 1.0) if bar["count"] else 0.0
        label = f"{bar['start']:,} to {bar['end'] - 1:,}: {bar['count']:,} rows"
        is_cut = limit is not None and bar["start"] >= limit
        drawn.append(ChartBar(place * _BAR_WIDTH, _CHART_HEIGHT - height, height, label, is_cut))
    return drawn


def _message(message: Any) -> Part:
    if not isinstance(message, dict):
        return Part("?", _cut(as_text(message)))
    text = as_text(message.get("content"))
    if calls := message.get("tool_calls"):
        text = f"{text}\n{as_text(calls)}".strip()
    return Part(as_text(message.get("role")) or "?", _cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " …"
