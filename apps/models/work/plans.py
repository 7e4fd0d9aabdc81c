"""What was ordered of a job, as its row keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from apps.models.runtime.work.orders import Dtype, Quantization

Format = Literal["folder", "gguf"]


class _Plan(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImportPlan(_Plan):
    """A model that lies on this machine, to be registered or converted."""

    path: Path
    """The model folder, which stays where it is, or the GGUF file, which is converted."""
    slug: str
    name: str
    """For people."""
    uploaded: bool = False
    """The file is the hub's own copy; it goes once the job is over."""


class ConvertPlan(_Plan):
    """A model to be written anew as another one."""

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
    """An adapter to become part of the weights of a new model."""

    slug: str
    name: str
    adapter: str
    """Its slug over the model that the job works on."""
    dequantize: bool = False
    measure: bool = True


class ExportPlan(_Plan):
    """A model to be written for other programs."""

    format: Format
    destination: str
    """A path that does not exist yet."""
