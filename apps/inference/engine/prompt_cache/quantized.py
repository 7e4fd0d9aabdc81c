"""Keys and values in fewer bits: each token's of each head by itself, along the head dimension.

So a cut between any two tokens stays a plain slice, and cutting and quantising
may come in either order. Scales and biases keep the dtype of the numbers, which
is the dtype they are restored to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx

_GROUP_SIZES = (64, 32)
"""MLX's, the larger first: it takes fewer scales."""


@dataclass(frozen=True)
class QuantizedKV:
    """MLX's affine quantisation of an array of the shape (1, heads, tokens, head dimension)."""

    packed: mx.array
    scales: mx.array
    biases: mx.array
    bits: int

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in arrays_of(self))

    def restored(self) -> mx.array:
        dimension = self.packed.shape[-1] * 32 // self.bits
        return mx.dequantize(
            self.packed,
            self.scales,
            self.biases,
            group_size=dimension // self.scales.shape[-1],
            bits=self.bits,
        )


KVPart = mx.array | QuantizedKV
"""The keys, or the values, of a layer."""


def quantized(part: KVPart, bits: int) -> KVPart:
    """The part in ``bits`` bits; as it is where no group size divides its head dimension."""
    if isinstance(part, QuantizedKV):
        return part
    dimension = part.shape[-1]
    group_size = next((size for size in _GROUP_SIZES if dimension % size == 0), None)
    if group_size is None or dimension == 0:
        return part
    return QuantizedKV(*mx.quantize(part, group_size=group_size, bits=bits), bits)


def dense(part: KVPart) -> mx.array:
    """The part's numbers, as near as they were kept."""
    return part.restored() if isinstance(part, QuantizedKV) else part


def arrays_of(part: KVPart) -> tuple[mx.array, ...]:
    """The arrays it consists of; each has tokens as its axis 2."""
    if isinstance(part, QuantizedKV):
        return part.packed, part.scales, part.biases
    return (part,)


def part_of(arrays: list[mx.array], bits: int | None) -> KVPart:
    """The inverse of ``arrays_of``; ``bits`` is None where the part is not quantised."""
    if bits is None:
        return arrays[0]
    packed, scales, biases = arrays
    return QuantizedKV(packed, scales, biases, bits)


def mapped(part: KVPart, cut: Callable[[mx.array], mx.array]) -> KVPart:
    """The part with the same cut of the token axis made in each of its arrays."""
    if isinstance(part, QuantizedKV):
        return QuantizedKV(cut(part.packed), cut(part.scales), cut(part.biases), part.bits)
    return cut(part)
