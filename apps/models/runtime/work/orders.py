"""What the work process may be told to do. Both sides of the pipe import this; neither needs MLX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

Mode = Literal["affine", "mxfp4", "nvfp4", "mxfp8"]
Bits = Literal[2, 3, 4, 5, 6, 8]
GroupSize = Literal[32, 64, 128]
Mixed = Literal["mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"]
Dtype = Literal["float16", "bfloat16", "float32"]

DEFAULT_BITS: Bits = 4
DEFAULT_GROUP_SIZE: GroupSize = 64


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quantization(_Frozen):
    """How matrices are packed, as MLX names it. The other modes fix bits and group size."""

    mode: Mode = "affine"
    bits: Bits | None = Field(default=None, description="Only affine; default 4.")
    group_size: GroupSize | None = Field(
        default=None, description="Weights per scale. Only affine; default 64."
    )
    mixed: Mixed | None = Field(
        default=None,
        description="mlx-lm's recipes: fewer bits for most matrices, more for those that matter. "
        "In place of `bits`.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Quantization:
        if self.mode != "affine" and (self.bits or self.group_size or self.mixed):
            raise ValueError(
                f"{self.mode} fixes bits and group size itself. Leave them and the mixed recipe "
                "out, or choose the mode affine."
            )
        if self.mixed and self.bits:
            raise ValueError(
                f"{self.mixed} names its bits itself. Leave the bits out, or the mixed recipe."
            )
        return self

    def __str__(self) -> str:
        if self.mode != "affine":
            return self.mode
        group = self.group_size or DEFAULT_GROUP_SIZE
        if self.mixed:
            low, high = self.mixed.removeprefix("mixed_").split("_")
            return f"mixed {low}/{high}-bit, groups of {group}"
        return f"{self.bits or DEFAULT_BITS}-bit, groups of {group}"


class ConvertOrder(_Frozen):
    """Write ``source`` anew: quantised, or without quantisation where none is named."""

    task: Literal["convert"] = "convert"
    source: Path
    destination: Path
    quantization: Quantization | None = None
    dtype: Dtype | None = Field(
        default=None, description="Type of what is not packed; default: as it is."
    )
    measure: bool = Field(
        default=True, description="Compare perplexity and speed before and after."
    )


class FuseOrder(_Frozen):
    """Write ``source`` with the adapter's changes made part of its weights."""

    task: Literal["fuse"] = "fuse"
    source: Path
    adapter: Path
    destination: Path
    dequantize: bool = Field(
        default=False,
        description="Leave the result unpacked: larger, and no change of the adapter is rounded.",
    )
    measure: bool = True


class GgufOrder(_Frozen):
    """Write ``source`` as one GGUF file."""

    task: Literal["gguf"] = "gguf"
    source: Path
    destination: Path


Order = ConvertOrder | FuseOrder | GgufOrder

order_adapter: TypeAdapter[Order] = TypeAdapter(
    Annotated[ConvertOrder | FuseOrder | GgufOrder, Field(discriminator="task")]
)
