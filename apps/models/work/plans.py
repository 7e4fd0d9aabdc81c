"""What was ordered of a job, as its row keeps it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from apps.models.runtime.work.orders import Dtype, Quantization

Format = Literal["folder", "gguf"]


class _Plan(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConvertPlan(_Plan):
    slug: str
    name: str
    """Of the model that is made."""
    quantization: Quantization | None = None
    """None: unpacked."""
    dtype: Dtype | None = None
    measure: bool = True

    @property
    def how(self) -> str:
        """In words, for the model's lineage."""
        parts = [str(self.quantization) if self.quantization else "unpacked", self.dtype or ""]
        return ", ".join(filter(None, parts))


class FusePlan(_Plan):
    slug: str
    name: str
    adapter: str
    """Its slug over the model that the job works on."""
    dequantize: bool = False
    measure: bool = True


class ExportPlan(_Plan):
    format: Format
    destination: str
    """A path that does not exist yet."""
