"""How large a model's weights are, told by whatever is known of them before they are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.models.runtime.headers import TensorHeader, weight_groups
from apps.models.runtime.memory.configuration import text_config
from apps.models.runtime.memory.terms import Device

_DTYPES = {"float32": 32, "float16": 16, "bfloat16": 16}
_NOT_READ = ("vision_tower.", "vision_model.", "multi_modal_projector.", "audio_tower.", "mtp.")
"""Prefixes of tensors that mlx-lm leaves in their file."""

_SCALES_BITS = 32
"""Of each group's scale and bias together: two half-precision numbers."""


@dataclass(frozen=True)
class Weights:
    """A model's weights, as its files have them."""

    parameters: int
    """Numbers that were trained: a packed 4-bit weight counts like any other."""
    nbytes: int
    """Bytes of the weights in their files, scales and biases included."""
    quantized: bool = False
    largest_nbytes: int = 0
    """Of the largest tensor in its file; 0 where only totals are known."""

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, TensorHeader], config: Mapping[str, Any]) -> Weights:
        """From the headers of the weight files. Raises ModelFormatError."""
        read = {name: each for name, each in tensors.items() if not name.startswith(_NOT_READ)}
        groups = list(weight_groups(read, dict(config)).values())
        return cls(
            parameters=sum(group.parameters for group in groups),
            nbytes=sum(group.nbytes for group in groups),
            quantized=any(group.quantized for group in groups),
            largest_nbytes=max((group.nbytes for group in groups), default=0),
        )

    @classmethod
    def of_bytes(cls, nbytes: int, config: Mapping[str, Any]) -> Weights:
        """From the size of the weight files alone, and what config.json says of their type."""
        packing = _packing(config)
        if packing:
            bits, group = packing
            return cls(int(nbytes * 8 / (bits + _SCALES_BITS / group)), nbytes, quantized=True)
        text = text_config(config)
        dtype = str(text.get("dtype") or text.get("torch_dtype") or config.get("torch_dtype"))
        return cls(nbytes * 8 // _DTYPES.get(dtype, 16), nbytes)

    def held_bytes(self, device: Device) -> int:
        """As they lie in memory for inference."""
        return 4 * self.parameters if device.compute_float32 else self.nbytes


def _packing(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """Bits per weight and weights per scale of MLX's quantisation; None without one."""
    quantization = config.get("quantization") or config.get("quantization_config")
    if not isinstance(quantization, dict):
        return None
    bits, group = quantization.get("bits"), quantization.get("group_size")
    if isinstance(bits, int) and isinstance(group, int) and 1 <= bits <= 8 and group > 0:
        return bits, group
    return None
