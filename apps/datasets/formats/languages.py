"""The language of a row's answer, by py3langid, which tells some 140 by runs of bytes.

A short text has no language that can be told: a name, a number, one word of many tongues.
"""

from __future__ import annotations

import re
from typing import Any

from apps.datasets.formats.checks import texts_of

UNDETERMINED = "und"
"""ISO 639-2's code for a language that can't be told."""

CODE = re.compile(r"[a-z]{2,3}")
"""What a code looks like."""

MIN_LETTERS = 15
"""Of a text whose language is guessed at all."""

MIN_PROBABILITY = 0.6
READ_CHARACTERS = 400
"""Of a text; more of it seldom changes the answer, and takes longer."""


class Languages:
    """Tells the languages of texts; the model takes a second to load."""

    def __init__(self) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self._identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    def of_row(self, row: dict[str, Any]) -> str:
        """The ISO 639 code of the last text that is long enough, which is the answer's."""
        texts = texts_of(row)
        return self.of_text(next(filter(_is_long, reversed(texts)), " ".join(texts)))

    def of_text(self, text: str) -> str:
        """The ISO 639 code, or UNDETERMINED."""
        if not _is_long(text):
            return UNDETERMINED
        code, probability = self._identifier.classify(text[:READ_CHARACTERS])
        return str(code) if probability >= MIN_PROBABILITY else UNDETERMINED


def _is_long(text: str) -> bool:
    letters = sum(map(str.isalpha, text[:READ_CHARACTERS]))
    # A sign of Chinese or Japanese is as much as half a word of letters.
    return letters >= MIN_LETTERS or (letters * 4 >= MIN_LETTERS and not text.isascii())
