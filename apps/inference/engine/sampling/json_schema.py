"""JSON Schemas as llguidance is to take them, so that what it lets through is valid.

llguidance reads a schema as a grammar of text. Three things that JSON says on top of its
text are seen to here: that white space may never end, that a name can be written in
several ways, and that an object's names may repeat.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_WHITE_SPACE = r" |\n[ \t]{0,20}"
"""One blank, or a line break and an indentation. JSON allows any amount; small models that
may go on with white space for ever often do."""

_ESCAPES = r"nrbtf\""
"""Without ``\\u``: with it, a name that a schema declares could be written as one that it
does not, and its value would be free."""

_ONE = ("items", "additionalItems", "additionalProperties", "contains", "not")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_NAMED = ("properties", "patternProperties", "$defs", "definitions")


def guided(schema: dict[str, Any], *, lenient: bool = False) -> dict[str, Any]:
    """A copy of the schema with llguidance's options, which the schema's own go before.

    ``lenient``: leave out what can't be enforced. Without it, raises ValueError for what
    would be let through wrongly. RecursionError: it is nested too deeply.
    """
    text = json.dumps(schema, ensure_ascii=False)
    copy: dict[str, Any] = json.loads(text)
    for each in subschemas(copy):
        if each.get("uniqueItems") is False:
            del each["uniqueItems"]  # asks for nothing, and llguidance knows no uniqueItems
        if not lenient:
            _require_countable(each)
    own = copy.get("x-guidance", {})
    if not isinstance(own, dict):
        raise ValueError("x-guidance is no JSON object")
    return copy | {"x-guidance": _options(text, own) | {"lenient": lenient} | own}


def _options(text: str, own: dict[str, Any]) -> dict[str, Any]:
    """What holds for the schema that ``text`` is, where its ``own`` options say nothing."""
    # A control character of the schema's own can be written in no other way.
    options = {"json_allowed_escapes": f"{_ESCAPES}u" if r"\u" in text else _ESCAPES}
    if "whitespace_flexible" not in own:
        options["whitespace_pattern"] = _WHITE_SPACE
    return options


def subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and those that are part of it; values of ``const`` and ``enum`` are not."""
    waiting: list[Any] = [schema]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, dict):
            continue
        yield each
        waiting += [each[key] for key in _ONE if key in each]
        waiting += [one for key in _LISTED if isinstance(each.get(key), list) for one in each[key]]
        for key in _NAMED:
            if isinstance(each.get(key), dict):
                waiting += each[key].values()


def _require_countable(schema: dict[str, Any]) -> None:
    """Names that are not declared may repeat in the text, and then count once."""
    least, required = schema.get("minProperties"), schema.get("required", [])
    if not isinstance(least, int) or not isinstance(required, list):
        return
    closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    if not closed and least > len(required) + 1:
        raise ValueError(
            f"minProperties is {least}, and nothing keeps names that are not declared from "
            "repeating; require so many names, or leave minProperties out"
        )
