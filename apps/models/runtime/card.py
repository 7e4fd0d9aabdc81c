"""The few facts that a model card's front matter tells. The card is untrusted text.

No YAML is parsed: single lines of known form are enough, and nothing else is believed.
Format: https://huggingface.co/docs/hub/model-cards#model-card-metadata
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

MAX_CHARACTERS = 64_000

_FRONT_MATTER = re.compile(r"\A---\n(?P<body>.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
_LICENSE = re.compile(r"^license:\s*[\"']?(?P<id>[A-Za-z0-9._-]{1,80})[\"']?\s*$", re.MULTILINE)
# One repository, or the first of a list of them.
_BASE = re.compile(
    r"^base_model:\s*(?:-\s*|\[\s*)?[\"']?(?P<id>\w[\w.-]{0,95}/\w[\w.-]{0,95})[\"']?\s*(?:[\],]|$)",
    re.MULTILINE | re.ASCII,
)


@dataclass(frozen=True)
class Card:
    """Empty where the card does not tell."""

    license: str = ""
    base_repo_id: str = ""
    """The repository of the model that this one was made from, as OWNER/NAME."""


def read_card(path: Path) -> Card:
    """The facts in the model card ``path``; none where there is no such file."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            head = stream.read(MAX_CHARACTERS)
    except OSError:
        return Card()
    front = _FRONT_MATTER.match(head.replace("\r\n", "\n"))
    if front is None:
        return Card()
    found = {
        field: match["id"]
        for field, pattern in (("license", _LICENSE), ("base_repo_id", _BASE))
        if (match := pattern.search(front["body"]))
    }
    return Card(**found)
