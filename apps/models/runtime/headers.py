"""What a model folder says about itself: config.json and safetensors headers.

Reads a few kilobytes however large the weights are, and checks what it reads:
a header is untrusted input. Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from apps.models.runtime.errors import ModelFormatError

MAX_JSON_BYTES = 64 * 1024 * 1024
"""Twice the largest tokenizer.json in use."""
MAX_CONFIG_BYTES = 8 * 1024 * 1024
"""A config.json that lists every layer's quantisation has less than one."""
MAX_HEADER_BYTES = 25_000_000
"""What the hub reads of a header too; a file of 90,000 tensors has less than half of it."""
MAX_DIMENSIONS = 16
MAX_DIMENSION = 1 << 62

DTYPE_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip


@dataclass(frozen=True)
class TensorHeader:
    """One tensor as its file's header describes it."""

    name: str
    dtype: str
    """safetensors' name for it, such as "BF16"."""
    shape: tuple[int, ...]
    nbytes: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class WeightGroup:
    """A weight with what belongs to it when it is quantised.

    ``parameters`` counts the weights themselves: a uint32 that packs eight 4-bit
    weights counts as eight, its scales and biases as none.
    """

    name: str
    parameters: int
    nbytes: int
    """Bytes in the file, scales and biases included."""
    bits: int
    """Bits per weight."""
    dtype: str
    """Type of the weights, or of the scales where they are packed."""
    quantized: bool


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model folder. Raises ModelFormatError."""
    return read_json(folder / "config.json", MAX_CONFIG_BYTES)


def read_json(path: Path, limit: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """A JSON object of at most ``limit`` bytes from a model folder. Raises ModelFormatError."""
    text = read_text(path, limit)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(content, dict):
        raise ModelFormatError(f"{path.name} is not a JSON object; download the model again.")
    return content


def read_text(path: Path, limit: int = MAX_CONFIG_BYTES) -> str:
    """A text file of at most ``limit`` bytes from a model folder. Raises ModelFormatError."""
    try:
        if path.exists() and not path.is_file():
            raise ModelFormatError(f"{path.name} is not a file. Download the model again.")
        size = path.stat().st_size
        if size > limit:
            raise ModelFormatError(
                f"{path.name} has {size / 1e6:.0f} MB, and no model's has more than "
                f"{limit / 1e6:.0f}. Download the model again."
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ModelFormatError:
    return ModelFormatError(
        f"{path.name} can't be read ({error}); a model folder needs a valid one. "
        "Download the model again."
    )


def weight_files(folder: Path) -> list[Path]:
    """The weight files mlx-lm would load, by name. Raises ModelFormatError where there are none."""
    files = sorted(file for file in folder.glob("model*.safetensors") if file.is_file())
    if not files:
        raise ModelFormatError(
            f"{folder} holds no model*.safetensors file, so it is not a model that MLX can load. "
            "Choose an MLX model folder, or import a GGUF file."
        )
    return files


def read_tensors(folder: Path) -> dict[str, TensorHeader]:
    """Every tensor of a model folder by name. Raises ModelFormatError."""
    tensors: dict[str, TensorHeader] = {}
    for file in weight_files(folder):
        tensors.update(_read_header(file))
    return tensors


def _read_header(file: Path) -> dict[str, TensorHeader]:
    try:
        with file.open("rb") as stream:
            return parse_header(stream, file.stat().st_size)
    except (OSError, ValueError) as error:
        raise ModelFormatError(
            f"{file.name} is not a whole safetensors file ({error}). Download the model again."
        ) from error


def parse_header(stream: BinaryIO, size: int) -> dict[str, TensorHeader]:
    """Every tensor of a safetensors file of ``size`` bytes by name.

    Raises ValueError where the header is not one, or does not fit the file.
    """
    length = int.from_bytes(stream.read(8), "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise ValueError("the header's length does not fit the file")
    try:
        header = json.loads(stream.read(length))
        entries = {k: v for k, v in header.items() if k != "__metadata__"}
        placed = [_tensor(k, v, size - 8 - length) for k, v in entries.items()]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the header is malformed: {error}") from error
    _require_apart(placed)
    return {tensor.name: tensor for _, tensor in placed}


def _tensor(name: str, entry: dict[str, Any], data_bytes: int) -> tuple[int, TensorHeader]:
    """Where a tensor begins in the data, and what it is."""
    shape, (begin, end), dtype = tuple(entry["shape"]), entry["data_offsets"], entry["dtype"]
    if len(shape) > MAX_DIMENSIONS or not all(_is_count(n) for n in (*shape, begin, end)):
        raise ValueError(f"tensor {name[:80]!r} has an impossible shape or place")
    nbytes = (math.prod(shape) * DTYPE_BITS[dtype] + 7) // 8
    if not begin <= end <= data_bytes or end - begin != nbytes:
        raise ValueError(f"tensor {name[:80]!r} does not fit the file")
    return begin, TensorHeader(name, dtype, shape, nbytes)


def _is_count(value: object) -> bool:
    """Whether it is a plain whole number; JSON's 1e400 is none, and neither is true."""
    return type(value) is int and 0 <= value <= MAX_DIMENSION


def _require_apart(placed: list[tuple[int, TensorHeader]]) -> None:
    """Raises ValueError where two tensors share bytes: a small file could claim terabytes."""
    end = 0
    for begin, tensor in sorted(placed, key=lambda each: each[0]):
        if tensor.nbytes and begin < end:
            raise ValueError(f"tensor {tensor.name[:80]!r} overlaps another")
        end = max(end, begin + tensor.nbytes)


def weight_groups(
    tensors: dict[str, TensorHeader], config: dict[str, Any]
) -> dict[str, WeightGroup]:
    """Tensors with each quantised weight's scales and biases folded into it.

    How many bits a weight was packed with comes from the shapes and the group
    size, which hold even where config.json names another default.
    """
    groups = {}
    for name, tensor in tensors.items():
        base = name.removesuffix(".weight")
        if name.endswith((".scales", ".biases")) and f"{name.rpartition('.')[0]}.weight" in tensors:
            continue
        scales = tensors.get(f"{base}.scales") if base != name else None
        if scales is None or tensor.dtype != "U32":
            bits = DTYPE_BITS[tensor.dtype]
            groups[name] = WeightGroup(name, tensor.size, tensor.nbytes, bits, tensor.dtype, False)
            continue
        biases = tensors.get(f"{base}.biases")
        parameters = scales.size * _group_size(base, config)
        nbytes = tensor.nbytes + scales.nbytes + (biases.nbytes if biases else 0)
        bits = round(tensor.size * 32 / parameters) if parameters else 0
        groups[name] = WeightGroup(name, parameters, nbytes, bits, scales.dtype, True)
    return groups


def _group_size(layer: str, config: dict[str, Any]) -> int:
    """Weights per scale for a layer, as config.json's quantisation says."""
    quantization = config.get("quantization") or config.get("quantization_config") or {}
    own = quantization.get(layer) if isinstance(quantization, dict) else None
    for source in (own, quantization):
        if isinstance(source, dict) and isinstance(source.get("group_size"), int):
            return int(source["group_size"])
    raise ModelFormatError(
        f"config.json does not say how {layer!r} was quantised. Download the model again."
    )
