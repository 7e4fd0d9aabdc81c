"""Personal data and secrets in texts: found by pattern, masked or left out.

Patterns find what is written as usual and miss the rest; they also take some numbers for
what they are not. They are a help to look, not a promise that nothing is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntFlag
from typing import Any

_EMAIL = re.compile(
    r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}\b"
)
_NUMBER = re.compile(r"(?<![\w.-])\+?\(?\d[\d ().\-/]{6,24}\d(?![\w-])")
_KEY = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}"
    r"|github_pat_\w{40,}|hf_[A-Za-z0-9]{30,}|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_KEY_MARKS = ("sk-", "AKIA", "gh", "hf_", "xox", "AIza", "-----BEGIN")
_SEPARATORS = re.compile(r"[ ().\-/]")
_DATE = re.compile(r"\A(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})\b")


class Personal(IntFlag):
    """One bit for each kind, as the index keeps them. Never renumber."""

    EMAIL = 1
    PHONE = 2
    CARD = 4
    KEY = 8


LABELS = {
    Personal.EMAIL: "E-mail address",
    Personal.PHONE: "Phone number",
    Personal.CARD: "Card number",
    Personal.KEY: "Secret key",
}

EVERY = Personal.EMAIL | Personal.PHONE | Personal.CARD | Personal.KEY


def personal_in(texts: Iterable[str]) -> Personal:
    """The kinds that some text has."""
    found = Personal(0)
    for text in texts:
        if "@" in text and _EMAIL.search(text):
            found |= Personal.EMAIL
        if any(mark in text for mark in _KEY_MARKS) and _KEY.search(text):
            found |= Personal.KEY
        for number in _NUMBER.finditer(text):
            found |= _number_kind(number[0])
    return found


def masked(value: Any, kinds: Personal = EVERY) -> Any:
    """A row, or a part of one, with what is personal replaced by its kind, as ``[EMAIL]``."""
    if isinstance(value, str):
        return _masked_text(value, kinds)
    if isinstance(value, list):
        return [masked(item, kinds) for item in value]
    if isinstance(value, dict):
        return {key: masked(item, kinds) for key, item in value.items()}
    return value


def _masked_text(text: str, kinds: Personal) -> str:
    if Personal.KEY in kinds:
        text = _KEY.sub("[KEY]", text)
    if Personal.EMAIL in kinds:
        text = _EMAIL.sub("[EMAIL]", text)

    def number(found: re.Match[str]) -> str:
        kind = _number_kind(found[0]) & kinds
        return f"[{kind.name}]" if kind else found[0]

    return _NUMBER.sub(number, text)


def _number_kind(text: str) -> Personal:
    digits = _SEPARATORS.sub("", text).lstrip("+")
    if not digits.isdecimal():
        return Personal(0)
    if 13 <= len(digits) <= 19 and _passes_luhn(digits):
        return Personal.CARD
    # A bare run of digits is a count or a number of something far more often.
    spelt = text.startswith(("+", "(", "0")) or len(_SEPARATORS.findall(text)) >= 2
    is_phone = 8 <= len(digits) <= 15 and spelt and not _DATE.match(text) and "." not in text
    return Personal.PHONE if is_phone else Personal(0)


def _passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and len(set(digits)) > 1
