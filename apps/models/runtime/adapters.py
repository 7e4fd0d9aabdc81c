"""A LoRA adapter's folder, as mlx-lm's tuner writes it: adapter_config.json and
adapters.safetensors.

Reads and checks without MLX. Both files are untrusted input.
Format: https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/LORA.md
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apps.models.runtime.digest import digest_adapter
from apps.models.runtime.errors import AdapterFormatError
from apps.models.runtime.headers import (
    TensorHeader,
    parse_header,
    read_json,
    read_tensors,
    weight_groups,
)

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapters.safetensors"

MAX_CONFIG_BYTES = 1024 * 1024
MAX_WEIGHTS_BYTES = 4 * 1024**3
"""An adapter is read into memory whole; ones of usual rank have some megabytes."""

MAX_RANK = 1024

_LEAVES = {"lora_a", "lora_b", "m"}
"""What mlx-lm's adapter layers save: the two low-rank factors, and DoRA's magnitude."""

_FLOATS = {"F32", "F16", "BF16"}

_CHOOSE_BASE = "Choose the model that it was trained on."

_BLOCK = re.compile(r"(?:^|\.)layers\.(\d+)\.")


class LoraParameters(BaseModel):
    model_config = ConfigDict(frozen=True)

    rank: int = Field(ge=1, le=MAX_RANK)
    scale: float = Field(ge=-1e4, le=1e4, allow_inf_nan=False)


class AdapterConfig(BaseModel):
    """The part of adapter_config.json that says what the weights mean."""

    model_config = ConfigDict(frozen=True)

    fine_tune_type: Literal["lora", "dora"] = "lora"
    num_layers: int = Field(ge=-1, le=10_000)
    """Blocks that were trained, counted from the last; -1 for all."""
    lora_parameters: LoraParameters


@dataclass(frozen=True)
class AdapterFolder:
    """What was read of an adapter, and how it describes itself."""

    config: AdapterConfig
    weights: bytes
    """adapters.safetensors."""
    tensors: dict[str, TensorHeader]
    digest: str

    @property
    def layers(self) -> set[str]:
        """Names of the base's layers that it changes."""
        return {name.rpartition(".")[0] for name in self.tensors}

    def require_base(self, base: Path) -> None:
        """Raises AdapterFormatError where the model in the folder ``base`` can't be its base.

        Goes by sizes and numbers of blocks. Names in the folder may differ from those that
        mlx-lm gives; only loading the model tells for sure.
        """
        config = read_json(base / "config.json")
        groups = weight_groups(read_tensors(base), config)
        blocks = config.get("num_hidden_layers")
        if isinstance(blocks, int) and self._deepest_block() >= blocks:
            raise AdapterFormatError(
                f"The adapter changes block {self._deepest_block()}; {base.name} has {blocks}, "
                f"counted from 0. {_CHOOSE_BASE}"
            )
        for layer in sorted(self.layers):
            group = groups.get(f"{layer}.weight")
            if group is not None and group.parameters != self._weights_of(layer):
                raise AdapterFormatError(
                    f"The adapter expects {self._weights_of(layer)} weights in {layer}; "
                    f"{base.name} has {group.parameters}. {_CHOOSE_BASE}"
                )

    def _deepest_block(self) -> int:
        """Number of the last of the base's blocks that it changes, from 0; -1 for none."""
        blocks = [int(match[1]) for name in self.tensors if (match := _BLOCK.search(name))]
        return max(blocks, default=-1)

    def _weights_of(self, layer: str) -> int:
        """Weights that the layer of its base has."""
        first, second = (self.tensors[f"{layer}.{factor}"].size for factor in ("lora_a", "lora_b"))
        experts = self.tensors[f"{layer}.lora_a"].shape[0] if self._is_mixture(layer) else 1
        return first * second // (self.config.lora_parameters.rank**2 * experts)

    def _is_mixture(self, layer: str) -> bool:
        return len(self.tensors[f"{layer}.lora_a"].shape) == 3


@dataclass(frozen=True)
class AdapterShape:
    """What another training has to have alike to go on from an adapter."""

    method: Literal["lora", "dora"]
    rank: int
    scale: float
    blocks: frozenset[int]
    """Numbers of the base's blocks that it changes, from 0."""
    keys: frozenset[str]
    """Layers that it changes in them, such as ``self_attn.q_proj``; whole names of others."""


def read_shape(path: Path) -> AdapterShape:
    """Of the adapter in the folder ``path``, without its weights. Raises AdapterFormatError."""
    config = _config(_contents(path / CONFIG_FILE, MAX_CONFIG_BYTES), path)
    file = path / WEIGHTS_FILE
    try:
        with file.open("rb") as stream:
            tensors = parse_header(stream, file.stat().st_size)
    except (OSError, ValueError) as error:
        raise AdapterFormatError(
            f"{WEIGHTS_FILE} in {path.name} can't be read ({error}). Copy or train the adapter again."
        ) from error
    _check_tensors(tensors, config.lora_parameters.rank, path)
    layers = {name.rpartition(".")[0] for name in tensors}
    found = {layer: _BLOCK.search(layer) for layer in layers}
    return AdapterShape(
        config.fine_tune_type,
        config.lora_parameters.rank,
        config.lora_parameters.scale,
        frozenset(int(match[1]) for match in found.values() if match),
        frozenset(layer[match.end() :] if match else layer for layer, match in found.items()),
    )


def read_adapter(path: Path) -> AdapterFolder:
    """Read and check the adapter in the folder ``path``. Raises AdapterFormatError."""
    raw = _contents(path / CONFIG_FILE, MAX_CONFIG_BYTES)
    config = _config(raw, path)
    weights = _contents(path / WEIGHTS_FILE, MAX_WEIGHTS_BYTES)
    try:
        tensors = parse_header(io.BytesIO(weights), len(weights))
    except ValueError as error:
        raise AdapterFormatError(
            f"{WEIGHTS_FILE} in {path.name} is not a whole safetensors file ({error}). "
            "Copy or train the adapter again."
        ) from error
    _check_tensors(tensors, config.lora_parameters.rank, path)
    return AdapterFolder(config, weights, tensors, digest_adapter(weights, raw))


def weights_bytes(path: Path) -> int:
    """Size of the weights in the adapter's folder ``path``; 0 where there are none."""
    try:
        return (path / WEIGHTS_FILE).stat().st_size
    except OSError:
        return 0


def _contents(file: Path, limit: int) -> bytes:
    try:
        if file.stat().st_size > limit:
            raise AdapterFormatError(
                f"{file.name} in {file.parent.name} is larger than any adapter's should be. "
                "Choose another folder."
            )
        return file.read_bytes()
    except OSError as error:
        raise AdapterFormatError(
            f"{file.name} in {file.parent.name} can't be read "
            f"({error.strerror or type(error).__name__}). An adapter is a folder with "
            f"{CONFIG_FILE} and {WEIGHTS_FILE}, as mlx-lm writes it; check the path."
        ) from error


def _config(raw: bytes, path: Path) -> AdapterConfig:
    try:
        return AdapterConfig.model_validate_json(raw)
    except ValidationError as error:
        raise AdapterFormatError(
            f"The adapter in {path.name} can't be used: {_why(raw, error)}"
        ) from error


def _why(raw: bytes, error: ValidationError) -> str:
    """The reason in words; the kinds of folders that are often mistaken for an adapter by name."""
    first = error.errors()[0]
    if first["loc"] == ("fine_tune_type",) and first["input"] == "full":
        return (
            "it holds fully fine-tuned weights, not a low-rank adapter. Fuse it with its base "
            "(`mlx_lm.fuse`) and register the result as a model."
        )
    if b'"peft_type"' in raw:
        return (
            "it is in PEFT's format, which names and lays out its weights differently. "
            "Convert it to mlx-lm's format, or train it with mlx-lm."
        )
    place = ".".join(str(part) for part in first["loc"]) or "the file"
    return (
        f"{CONFIG_FILE} does not describe a LoRA or DoRA adapter ({place}: {first['msg']}). "
        "Choose a folder that mlx-lm's tuner wrote."
    )


def _check_tensors(tensors: dict[str, TensorHeader], rank: int, path: Path) -> None:
    """Each layer has both factors, in floats, of the rank that the configuration names."""
    problem = next(filter(None, (_problem(t, tensors, rank) for t in tensors.values())), None)
    if not tensors:
        problem = "it holds no weights"
    if problem:
        raise AdapterFormatError(
            f"The adapter in {path.name} can't be used: {problem}. Choose a folder that "
            "mlx-lm's tuner wrote, or train the adapter again."
        )


def _problem(tensor: TensorHeader, tensors: dict[str, TensorHeader], rank: int) -> str | None:
    layer, _, leaf = tensor.name.rpartition(".")
    if leaf not in _LEAVES or not layer:
        return f"{tensor.name} is not part of a LoRA or DoRA layer"
    if tensor.dtype not in _FLOATS:
        return f"{tensor.name} is of type {tensor.dtype}, not a float"
    first, second = (tensors.get(f"{layer}.{factor}") for factor in ("lora_a", "lora_b"))
    if first is None or second is None:
        return f"{layer} has one factor without the other"
    ranks = _ranks(first.shape, second.shape)
    if leaf != "m" and ranks != (rank, rank):
        return f"the factors of {layer} are {first.shape} and {second.shape}, not of rank {rank}"
    return None


def _ranks(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, int] | None:
    """The rank of each factor: (in, r) and (r, out), or per expert (e, r, in) and (e, out, r)."""
    if len(first) == len(second) == 2:
        return first[1], second[0]
    if len(first) == len(second) == 3:
        return first[1], second[2]
    return None
