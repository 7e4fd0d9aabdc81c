"""A model's card: its README.md, which its authors wrote and nobody checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.utils.safestring import SafeString

from apps.rendering.document import render_document

MAX_CARD_BYTES = 400_000
"""Read at most; front matter may hold long tables of results."""

MAX_CARD_CHARACTERS = 100_000
"""Shown at most. The slowest text that is known takes two seconds to render at this length."""

_FRONT_MATTER = re.compile(r"\s*---[ \t]*\r?\n.*?^---[ \t]*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Card:
    """A card's text without its front matter, which the hub tells apart."""

    text: str
    base: str
    """The address that its links are relative to."""
    is_whole: bool

    @property
    def html(self) -> SafeString:
        """Sanitised, to be put into a page."""
        return render_document(self.text, self.base)


def card_of(content: bytes, *, base: str, is_whole: bool = True) -> Card | None:
    """The card in a file's content; None where there is nothing to read."""
    text = content.decode(errors="replace").removeprefix("\ufeff")
    if front := _FRONT_MATTER.match(text):
        text = text[front.end() :]
    text = text.strip()
    if not text:
        return None
    return Card(text[:MAX_CARD_CHARACTERS], base, is_whole and len(text) <= MAX_CARD_CHARACTERS)
