"""What can be wrong with a row, judged by the row alone or by its like in the version."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntFlag
from itertools import pairwise
from typing import Any

LONG_CHARACTERS = 100_000
"""Some 25,000 tokens: more than nearly every training run takes of one row."""

_FORMULA = re.compile(r"\A[=@+-]\s*[A-Za-z]+(?:[A-Za-z0-9.]*\(|\|)")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MOJIBAKE = re.compile("Ã[\x80-\xbf]|â€[\x80-\xbf™œ]")
_ROLES = ("system", "user", "assistant", "tool")


class Problem(IntFlag):
    """One bit for each, as the index keeps them. Never renumber: versions are immutable."""

    NO_FIELDS = 1
    NOT_TEXT = 2
    EMPTY = 4
    UNKNOWN_ROLE = 8
    WRONG_ORDER = 16
    ONE_SIDED = 32
    NO_ANSWER = 64
    BAD_TOOL_CALL = 128
    OVERSIZED = 256
    TRUNCATED = 512
    ODD_CHARACTERS = 1024
    FORMULA = 2048
    SAME_ANSWERS = 4096
    DUPLICATE = 8192
    OVERLAP = 16384
    NEAR_DUPLICATE = 32768


@dataclass(frozen=True)
class Description:
    """A problem in words."""

    label: str
    hint: str
    is_error: bool
    """Whether a row with it can't be learnt from, or teaches what it should not."""


DESCRIPTIONS = {
    Problem.NO_FIELDS: Description(
        "Missing fields", "It has no messages, prompt and completion, or text.", True
    ),
    Problem.NOT_TEXT: Description("Not text", "A field that should be text is not.", True),
    Problem.EMPTY: Description("Empty", "A prompt, an answer or a text is empty.", True),
    Problem.UNKNOWN_ROLE: Description(
        "Unknown role", "A message is of nobody that chat templates know.", True
    ),
    Problem.WRONG_ORDER: Description(
        "Wrong order", "User and assistant do not take turns, or a system message comes late.", True
    ),
    Problem.ONE_SIDED: Description("One-sided", "Nobody asks, or nobody answers.", True),
    Problem.NO_ANSWER: Description(
        "Ends without an answer", "The last message is not the assistant's.", True
    ),
    Problem.BAD_TOOL_CALL: Description(
        "Bad tool call",
        "A call has no name, its arguments are no JSON object, or no such tool.",
        True,
    ),
    Problem.OVERSIZED: Description(
        "Very long", f"More than {LONG_CHARACTERS:,} characters.", False
    ),
    Problem.TRUNCATED: Description(
        "Looks cut off", "The answer ends in an ellipsis or within a code block.", False
    ),
    Problem.ODD_CHARACTERS: Description(
        "Odd characters", "Control characters, or text in a wrong encoding.", False
    ),
    Problem.FORMULA: Description(
        "Spreadsheet formula", "A text is a formula, which was never computed.", False
    ),
    Problem.SAME_ANSWERS: Description(
        "Same answers", "The chosen and the rejected answer are equal.", True
    ),
    Problem.DUPLICATE: Description("Duplicate", "An earlier row is equal to it.", False),
    Problem.OVERLAP: Description(
        "In training too", "A row of validation or test that is also trained on.", True
    ),
    Problem.NEAR_DUPLICATE: Description(
        "Near duplicate", "An earlier row is nearly the same.", False
    ),
}
"""In the order in which they are shown."""

ERRORS = sum((problem for problem, said in DESCRIPTIONS.items() if said.is_error), start=Problem(0))
"""All that a row must not have to be learnt from."""


def problems_of(row: dict[str, Any]) -> Problem:
    """What is wrong with a row by itself."""
    if "messages" in row:
        found = _of_messages(row["messages"], row.get("tools"))
    elif "chosen" in row or "rejected" in row:
        found = _of_pair(row)
    elif "prompt" in row or "completion" in row:
        found = _of_texts(row.get("prompt"), row.get("completion"))
    elif "text" in row:
        found = _of_texts(row["text"])
    else:
        return Problem.NO_FIELDS
    return found | _of_characters(row)


def texts_of(row: dict[str, Any]) -> list[str]:
    """Every text of a row that is learnt from or seen, in its order."""
    texts: list[str] = []
    for name in ("messages", "prompt", "completion", "chosen", "rejected", "text"):
        value = row.get(name)
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list):
            contents = (item.get("content") for item in value if isinstance(item, dict))
            texts.extend(text for text in contents if isinstance(text, str))
    return texts


def turns_of(row: dict[str, Any]) -> int:
    """Messages of a conversation; 0 where a row is none."""
    messages = row.get("messages")
    return len(messages) if isinstance(messages, list) else 0


def _of_messages(messages: Any, tools: Any) -> Problem:
    if not isinstance(messages, list):
        return Problem.NOT_TEXT
    if not messages:
        return Problem.EMPTY
    if not all(isinstance(message, dict) for message in messages):
        return Problem.NOT_TEXT
    found = Problem(0)
    names = _tool_names(tools)
    for message in messages:
        found |= _of_message(message, names)
    roles = [message.get("role") for message in messages]
    return found | _of_roles(roles) | _of_end(messages[-1].get("content"))


def _of_message(message: dict[str, Any], tools: set[Any]) -> Problem:
    found = Problem(0)
    role, content, calls = (message.get(key) for key in ("role", "content", "tool_calls"))
    if role not in _ROLES:
        found |= Problem.UNKNOWN_ROLE
    if content is not None and not isinstance(content, str):
        found |= Problem.NOT_TEXT
    elif not calls and not (content or "").strip():
        # A tool may well answer nothing.
        found |= Problem(0) if role == "tool" else Problem.EMPTY
    if calls is not None and not _are_calls(calls, tools):
        found |= Problem.BAD_TOOL_CALL
    return found


def _of_roles(roles: list[Any]) -> Problem:
    found = Problem(0)
    talk = [role for role in roles if role in ("user", "assistant")]
    if "system" in roles[1:]:
        found |= Problem.WRONG_ORDER
    if "user" not in talk or "assistant" not in talk:
        return found | Problem.ONE_SIDED
    if talk[0] != "user":
        found |= Problem.WRONG_ORDER
    for before, after in pairwise(roles):
        if before == after and before in ("user", "assistant"):
            found |= Problem.WRONG_ORDER
        if after == "tool" and before not in ("assistant", "tool"):
            found |= Problem.WRONG_ORDER
    if roles[-1] != "assistant":
        found |= Problem.NO_ANSWER
    return found


def _are_calls(calls: Any, tools: set[Any]) -> bool:
    if not isinstance(calls, list):
        return False
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("arguments", {}), dict):
            return False
        name = function.get("name")
        if not isinstance(name, str) or not name or (tools and name not in tools):
            return False
    return True


def _tool_names(tools: Any) -> set[Any]:
    if not isinstance(tools, list):
        return set()
    functions = (tool.get("function") for tool in tools if isinstance(tool, dict))
    names = (each.get("name") for each in functions if isinstance(each, dict))
    return {name for name in names if isinstance(name, str)}


def _of_texts(*texts: Any) -> Problem:
    if any(not isinstance(text, str) for text in texts):
        return Problem.NOT_TEXT
    if any(not text.strip() for text in texts):
        return Problem.EMPTY
    return _of_end(texts[-1]) if len(texts) > 1 else Problem(0)


def _of_pair(row: dict[str, Any]) -> Problem:
    chosen, rejected = row.get("chosen"), row.get("rejected")
    found = _of_texts(chosen, rejected)
    if not row.get("prompt"):
        found |= Problem.EMPTY
    if isinstance(chosen, str) and chosen == rejected:
        found |= Problem.SAME_ANSWERS
    return found


def _of_end(answer: Any) -> Problem:
    if not isinstance(answer, str):
        return Problem(0)
    text = answer.rstrip()
    cut = text.endswith(("…", "...")) or text.count("```") % 2 == 1
    return Problem.TRUNCATED if cut else Problem(0)


def _of_characters(row: dict[str, Any]) -> Problem:
    found = Problem(0)
    length = 0
    for text in texts_of(row):
        length += len(text)
        if _FORMULA.match(text):
            found |= Problem.FORMULA
        # Most text is ASCII: a scan for bytes is cheaper than one for characters.
        if not text.isascii() and (_REPLACEMENT in text or _MOJIBAKE.search(text)):
            found |= Problem.ODD_CHARACTERS
        if not text.isprintable() and _CONTROL.search(text):
            found |= Problem.ODD_CHARACTERS
    if length > LONG_CHARACTERS:
        found |= Problem.OVERSIZED
    return found
