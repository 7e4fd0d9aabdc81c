"""JSON Schemas of the kinds that people write, made at random, and what checks answers to them.

schemas()        everything that the hub enforces
refused()        the same with one thing in it that it can't, which is a 400
parameters()     of tools: objects whose texts are short
problem_with()   why an answer is not valid, by the jsonschema package
"""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from datetime import datetime
from typing import Any

import jsonschema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Schema = dict[str, Any]

NAMES = ("name", "age", "city", "tags", "is_active", "unit price", "größe", 'q"', "a/b", "$id_")
WORDS = ("red", "green", "in progress", "n/a", "é✓", 'say "hi"', "back\\slash", "")
PATTERNS = (
    r"^[A-Z]{2,4}-\d{3}$",
    r"^\d{4}-(0[1-9]|1[0-2])$",
    r"^(\+\d{1,3} )?\d{3,8}$",
    r"^#[0-9a-fA-F]{6}$",
    r"^v\d+\.\d+\.\d+$",
    r"^[a-z][a-z0-9_]{0,9}$",
    r"^(yes|no|maybe)$",
    r"^[^\s@]{1,8}@example\.(com|org)$",
)
FORMATS = (
    "date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri",
)  # fmt: skip

UNENFORCED: tuple[Schema, ...] = (
    {"not": {"type": "string"}},
    {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
    {"type": "array", "contains": {"const": 1}},
    {"type": "object", "propertyNames": {"pattern": "^a"}},
    {"type": "object", "dependentRequired": {"a": ["b"]}},
    {"type": "object", "unevaluatedProperties": False},
    {"type": "object", "minProperties": 3},
    {"if": {"type": "integer"}, "then": {"minimum": 1}},
    {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    {"type": "string", "format": "telephone"},
    {"type": "string", "pattern": "(?=a)b"},
    {"type": "string", "minLength": 3, "maxLength": 2},
    {"type": "integer", "minimum": 9, "maximum": 8},
    {"type": "text"},
    {"enum": []},
    {"$ref": "#/$defs/nowhere"},
    {"$ref": "https://example.com/schema.json"},
)
"""What can't be honoured: not expressible, unknown, contradictory, or not there."""


# --- leaves -----------------------------------------------------------------


def _integers() -> st.SearchStrategy[Schema]:
    low = st.integers(-1000, 1000)
    return st.one_of(
        st.just({"type": "integer"}),
        low.map(lambda n: {"type": "integer", "minimum": n}),
        low.map(lambda n: {"type": "integer", "exclusiveMaximum": n}),
        low.map(lambda n: {"type": "integer", "minimum": n, "maximum": n + 40}),
        st.builds(
            lambda n, step: {
                "type": "integer",
                "exclusiveMinimum": n,
                "maximum": n + 60,
                "multipleOf": step,
            },
            low,
            st.sampled_from([2, 5, 12]),
        ),
    )


def _numbers() -> st.SearchStrategy[Schema]:
    # Quarters: binary fractions, so that no checker's own rounding decides.
    quarter = st.integers(-400, 400).map(lambda n: n / 4)
    return st.one_of(
        st.just({"type": "number"}),
        quarter.map(lambda n: {"type": "number", "exclusiveMinimum": n}),
        quarter.map(lambda n: {"type": "number", "minimum": n, "exclusiveMaximum": n + 2.5}),
        st.just({"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.25}),
    )


def _strings(*, bounded: bool) -> st.SearchStrategy[Schema]:
    short = st.builds(
        lambda least, more: {"type": "string", "minLength": least, "maxLength": least + more},
        st.integers(0, 4),
        st.integers(0, 12),
    )
    patterns = st.sampled_from(PATTERNS).map(lambda p: {"type": "string", "pattern": p})
    formats = st.sampled_from(FORMATS).map(lambda f: {"type": "string", "format": f})
    kinds = [short, patterns, formats]
    return st.one_of(*kinds) if bounded else st.one_of(*kinds, st.just({"type": "string"}))


def _choices() -> st.SearchStrategy[Schema]:
    value = st.one_of(st.sampled_from(WORDS), st.integers(-9, 99), st.booleans(), st.none())
    return st.one_of(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True).map(
            lambda words: {"type": "string", "enum": words}
        ),
        st.lists(value, min_size=1, max_size=3, unique_by=repr).map(
            lambda values: {"enum": values}
        ),
        st.one_of(value, st.just({"kind": "fixed", "sizes": [1, 2.5]})).map(
            lambda constant: {"const": constant}
        ),
    )


def _leaves(*, bounded: bool) -> st.SearchStrategy[Schema]:
    plain = st.sampled_from([{"type": "boolean"}, {"type": "null"}])
    texts = _strings(bounded=bounded)
    nullable = texts.map(lambda schema: schema | {"type": ["string", "null"]})
    return st.one_of(texts, _integers(), _choices(), _numbers(), plain, nullable)


# --- what holds them --------------------------------------------------------


def _annotated(schema: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    """With the words that generators of schemas add, and that ask for nothing."""
    notes = st.sampled_from(
        [{}, {}, {"title": "Thing"}, {"description": "What it is.", "default": None}]
    )
    return st.builds(lambda one, note: note | one, schema, notes)


def _objects(children: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    properties = st.dictionaries(st.sampled_from(NAMES), children, max_size=4)
    rest = st.sampled_from([False, False, None, True, {"type": "integer", "maximum": 9}])
    return st.builds(_object, properties, rest, st.randoms(use_true_random=False))


def _object(properties: dict[str, Schema], rest: Any, rng: Any) -> Schema:
    required = [name for name in properties if rng.random() < 0.6]
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if rest is not None:
        schema["additionalProperties"] = rest
    return schema


def _maps(children: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return children.map(
        lambda child: {
            "type": "object",
            "patternProperties": {"^[a-z]{1,4}$": child},
            "additionalProperties": False,
        }
    )


def _arrays(children: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.one_of(
        st.builds(
            lambda child, least, more: {
                "type": "array",
                "items": child,
                "minItems": least,
                "maxItems": least + more,
            },
            children,
            st.integers(0, 2),
            st.integers(0, 2),
        ),
        st.lists(children, min_size=1, max_size=3).map(
            lambda each: {
                "type": "array",
                "prefixItems": each,
                "items": False,
                "minItems": len(each),
            }
        ),
    )


def _alternatives(children: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    tagged = children.map(
        lambda child: {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"const": kind, "type": "string"}} | value,
                    "required": ["kind", *value],
                }
                for kind, value in (("empty", {}), ("full", {"value": child}))
            ]
        }
    )
    return st.one_of(
        st.lists(children, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        children.map(lambda child: {"anyOf": [child, {"type": "null"}]}),
        tagged,
        st.tuples(children, children).map(
            lambda pair: {
                "allOf": [
                    {"type": "object", "properties": {name: child}, "required": [name]}
                    for name, child in zip(("left", "right"), pair, strict=True)
                ]
            }
        ),
    )


def _nested(leaves: st.SearchStrategy[Schema], most: int) -> st.SearchStrategy[Schema]:
    return st.recursive(
        _annotated(leaves),
        lambda children: _annotated(
            st.one_of(
                _objects(children),
                _arrays(children),
                _objects(children),
                _alternatives(children),
                _maps(children),
            )
        ),
        max_leaves=most,
    )


def _with_definitions(
    inner: st.SearchStrategy[Schema],
) -> st.SearchStrategy[Schema]:
    """Objects that refer to a definition, and one that contains itself."""
    shared = st.builds(
        lambda child, other, key: {
            "type": "object",
            "properties": {"one": {"$ref": f"#/{key}/Thing"}, "other": other},
            "required": ["one"],
            key: {"Thing": child},
        },
        inner,
        inner,
        st.sampled_from(["$defs", "definitions"]),
    )
    tree = inner.map(
        lambda child: {
            "$ref": "#/$defs/Node",
            "$defs": {
                "Node": {
                    "type": "object",
                    "properties": {
                        "value": child,
                        "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Node"}]},
                    },
                    "required": ["value", "next"],
                    "additionalProperties": False,
                }
            },
        }
    )
    return st.one_of(shared, tree)


def schemas(*, bounded: bool = False) -> st.SearchStrategy[Schema]:
    """``bounded``: without texts of any length, which small models do not end."""
    leaves = _leaves(bounded=bounded)
    nested = _nested(leaves, 5)
    return st.one_of(_objects(_nested(leaves, 3)), nested, _with_definitions(_nested(leaves, 2)))


def parameters() -> st.SearchStrategy[Schema]:
    leaves = _leaves(bounded=True)
    return st.builds(
        lambda schema: schema | {"additionalProperties": False}, _objects(_nested(leaves, 3))
    )


def refused() -> st.SearchStrategy[Schema]:
    return st.builds(
        lambda inside, what: {
            "type": "object",
            "properties": {"fine": inside, "wrong": what},
            "required": ["fine", "wrong"],
        },
        _leaves(bounded=True),
        st.sampled_from(UNENFORCED),
    )


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """``count`` examples, all different, the same ones each time."""
    found: dict[str, Any] = {}

    @settings(
        max_examples=4 * count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Any) -> None:
        found.setdefault(repr(value), value)

    collect()
    # Hypothesis begins with the simplest.
    return list(found.values())[-count:]


# --- the check --------------------------------------------------------------


def problem_with(answer: str, schema: Schema) -> str | None:
    """Why ``answer`` is not what ``schema`` asks for; None where it is."""
    try:
        value = json.loads(answer)
    except ValueError as error:
        return f"no JSON: {error}"
    checker = jsonschema.Draft202012Validator(schema, format_checker=_FORMATS)
    return next((error.message for error in checker.iter_errors(value)), None)


_FORMATS = jsonschema.FormatChecker()
"""The package checks most formats only where further packages are installed."""

_CLOCK = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_SPELLED = {
    "time": _CLOCK,
    "duration": r"P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+S)?)?)",
    "hostname": rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*",
    "email": r"[^@\s]+@[^@\s]+",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*",
}


def _is_spelled(name: str) -> Any:
    pattern = re.compile(_SPELLED[name], re.ASCII)
    return lambda value: not isinstance(value, str) or bool(pattern.fullmatch(value))


for _name in _SPELLED:
    _FORMATS.checks(_name)(_is_spelled(_name))


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value[:10])
    return value[10:11] in ("T", "t") and bool(re.fullmatch(_CLOCK, value[11:]))


@_FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(uuid.UUID(value)) == value.lower()


@_FORMATS.checks("ipv6", raises=ValueError)
def _is_ipv6(value: object) -> bool:
    return not isinstance(value, str) or bool(ipaddress.IPv6Address(value))
