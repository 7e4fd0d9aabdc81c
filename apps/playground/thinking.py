"""What an answer's stored text holds beside the answer: a reasoning model's thoughts."""

from __future__ import annotations

import re

THINKING = ("<think>", "</think>")
"""What stands around thoughts in an answer's stored text."""

_THINKING = re.compile(r"\s*(?:<think>)?(?P<thinking>.*?)(?:</think>|\Z)", re.DOTALL)


def split_thinking(text: str) -> tuple[str, str]:
    """What a reasoning model thought, and what it answered.

    Some chat templates open the ``<think>`` block inside the prompt, so that
    the text starts with thoughts and only their end is marked.
    """
    if not text.lstrip().startswith("<think>") and "</think>" not in text:
        return "", text
    match = _THINKING.match(text)
    if match is None:
        return "", text
    return match["thinking"].strip(), text[match.end() :].lstrip()


def ends_in_thoughts(text: str) -> bool:
    """Whether an answer's stored text stops before the answer itself."""
    return text.startswith(THINKING[0]) and THINKING[1] not in text
