"""How large a model is, as far as the hub's summary of it tells, without its files.

The hub counts the elements of a repository's safetensors by their type. Packed
weights (MLX keeps eight 4-bit ones in an element of type U32) are counted packed by
some versions of it and unpacked by others; the size in the repository's name, such
as "7B", then tells which it was.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.discovery.reading import count, table, text

_WIDTHS: dict[str, float] = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    "F4": 0.5,
}
"""Bytes of an element."""

_FLOATS = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
FULL_PRECISION = frozenset(_FLOATS.values())
"""What ``quantization`` says of weights that are not quantised."""

_GROUP = 64
"""Weights that share a scale and a bias, where the summary does not say."""

_STATED = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([bBmM])(?![A-Za-z0-9])")
_BITS_IN_TAG = re.compile(r"([2-8])-bit")
_BITS_IN_NAME = re.compile(r"(?i)[-_.](?:q|int)?([2-8])[-_]?bits?(?![a-z0-9])")
_FORMAT_IN_NAME = re.compile(r"(?i)[-_.](mxfp4|mxfp8|nvfp4|fp8)(?![a-z0-9])")


@dataclass(frozen=True)
class WeightFigures:
    """What a summary tells of the weights; None and "" where it does not."""

    parameters: int | None
    nbytes: int | None
    """Of the safetensors files."""
    quantization: str
    """For example "4-bit", "mxfp4", "bfloat16" or "GGUF"."""


def weight_figures(
    name: str, tags: tuple[str, ...], safetensors: object, gguf: object, config: Mapping[str, Any]
) -> WeightFigures:
    """Of the repository called ``name``, from its tags and the hub's summaries."""
    counts = {
        text(dtype): number
        for dtype, each in table(table(safetensors).get("parameters")).items()
        if (number := count(each)) is not None
    }
    bits = _bits(name, tags, config)
    quantization = _quantization(name, tags, counts, config, bits)
    if not counts:
        stated = count(table(gguf).get("total")) or stated_size(name)
        return WeightFigures(stated, None, quantization)
    packed, rest = counts.get("U32", 0), sum(counts.values()) - counts.get("U32", 0)
    if packed and bits:
        unpacked = packed * 32 // bits
        # Scales and biases are no parameters of the model.
        as_packed = unpacked + max(0, rest - 2 * unpacked // _GROUP)
        as_counted = packed + rest
        if _nearer(as_counted, as_packed, stated_size(name)):
            nbytes = packed * bits // 8 + _bytes(counts, without="U32")
            return WeightFigures(as_counted, nbytes, quantization)
        return WeightFigures(as_packed, _bytes(counts), quantization)
    return WeightFigures(sum(counts.values()), _bytes(counts), quantization)


def stated_size(name: str) -> int | None:
    """The number of parameters that a name such as "Qwen2.5-0.5B-Instruct" states."""
    found = _STATED.search(name)
    if found is None:
        return None
    scale = 10**9 if found[2] in "bB" else 10**6
    return count(float(found[1][:12]) * scale)


def _nearer(one: int, other: int, target: int | None) -> bool:
    """Whether ``one`` is, by ratio, nearer to ``target`` than ``other`` is."""
    if not target or not one or not other:
        return False
    return abs(math.log(one / target)) < abs(math.log(other / target))


def _bytes(counts: Mapping[str, int], without: str = "") -> int:
    return int(sum(_WIDTHS.get(dtype, 2) * n for dtype, n in counts.items() if dtype != without))


def _bits(name: str, tags: tuple[str, ...], config: Mapping[str, Any]) -> int | None:
    for key in ("quantization", "quantization_config"):
        bits = count(table(config.get(key)).get("bits"))
        if bits and bits <= 8:
            return bits
    found = next(filter(None, map(_BITS_IN_TAG.fullmatch, tags)), None)
    found = found or _BITS_IN_NAME.search(name)
    return int(found[1]) if found else None


def _quantization(
    name: str,
    tags: tuple[str, ...],
    counts: Mapping[str, int],
    config: Mapping[str, Any],
    bits: int | None,
) -> str:
    if "gguf" in tags and not counts:
        return "GGUF"
    for key in ("quantization", "quantization_config"):
        described = table(config.get(key))
        mode = text(described.get("mode")) or text(described.get("quant_method"))
        if mode.startswith(("mxfp", "nvfp", "fp8")):
            return mode
    if found := _FORMAT_IN_NAME.search(name):
        return found[1].lower()
    if bits:
        return f"{bits}-bit"
    largest = max(counts, key=lambda dtype: counts[dtype], default="")
    return _FLOATS.get(largest, largest)
