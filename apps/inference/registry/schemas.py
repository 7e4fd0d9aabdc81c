"""The registry as JSON. Sizes are in bytes, times ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from apps.inference.api.schemas.fields import StrictRequest
from apps.jobs.rest import StateName
from apps.models.consequences import Deletion
from apps.models.disk.usage import Usage
from apps.models.models import Adapter, LocalModel
from apps.models.runtime.work.orders import Dtype, Quantization
from apps.models.work.models import ModelJob
from apps.models.work.plans import Format

Sort = Literal[
    "name", "size_bytes", "parameters", "quantization", "context_length",
    "-name", "-size_bytes", "-parameters", "-quantization", "-context_length",
]  # fmt: skip
Kind = Literal["chat", "completion", "embedding"]


class AdapterOut(BaseModel):
    slug: str = Field(description="Calls name it `MODEL:ADAPTER`.")
    name: str
    rank: int | None
    size_bytes: int
    parent: str | None = Field(
        description="Slug of the adapter that its training went on from; null: none, or deleted."
    )
    created_at: datetime

    @classmethod
    def of(cls, adapter: Adapter) -> AdapterOut:
        same = {name: getattr(adapter, name) for name in cls.model_fields}
        return cls.model_validate(same | {"parent": adapter.parent and adapter.parent.slug})


class ModelSummary(BaseModel):
    slug: str = Field(description="The name in calls and addresses.")
    name: str
    alias: str | None = Field(description="Another name that calls may use.")
    repo_id: str = Field(description="On Hugging Face; empty: not from there.")
    source: str
    kind: Kind
    knows_tools: bool
    reasons: bool = Field(description="Whether its chat template knows a reasoning part.")
    architecture: str
    parameters: int
    quantization: str
    size_bytes: int
    context_length: int
    license: str = Field(description="Empty: not stated.")
    created_at: datetime

    @classmethod
    def of(cls, model: LocalModel) -> ModelSummary:
        return cls.model_validate({name: getattr(model, name) for name in cls.model_fields})


class ModelList(BaseModel):
    models: list[ModelSummary]
    total: int = Field(description="How many match, whatever page was asked for.")


class Defaults(BaseModel):
    """What a call that leaves it out gets. null: as the authors recommend, else as the API has."""

    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repetition_penalty: float | None
    max_tokens: int | None
    context_limit: int | None
    system_prompt: str


class ModelDetail(ModelSummary):
    path: str
    digest: str
    base_repo_id: str
    derived_from: str | None = Field(description="Slug of the model that it was made from here.")
    derivation: str = Field(description="How it was made from that one.")
    verified_at: datetime | None
    damage: str = Field(description="What the last verification found changed; empty: nothing.")
    pinned: bool
    ttl_minutes: int | None
    draft: str | None = Field(description="Slug of its draft model.")
    defaults: Defaults
    recommended: dict[str, float] = Field(description="Sampling that its authors recommend.")
    adapters: list[AdapterOut]

    @classmethod
    def of(cls, model: LocalModel) -> ModelDetail:
        summary = ModelSummary.of(model).model_dump()
        same = ("path", "digest", "base_repo_id", "derivation", "verified_at", "damage", "pinned",
                "ttl_minutes", "recommended")  # fmt: skip
        return cls.model_validate(
            summary
            | {name: getattr(model, name) for name in same}
            | {
                "derived_from": model.derived_from.slug if model.derived_from else None,
                "draft": model.draft.slug if model.draft else None,
                "defaults": {name: getattr(model, name) for name in Defaults.model_fields},
                "adapters": [
                    AdapterOut.of(each) for each in model.adapters.select_related("parent")
                ],
            }
        )


class ModelPatch(StrictRequest):
    """What is left out stays; null empties."""

    alias: str | None = Field(default=None, max_length=120)
    pinned: bool = False
    ttl_minutes: int | None = Field(default=None, ge=0, le=525_600)
    draft: str | None = Field(default=None, max_length=200, description="A model's name.")
    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(default=None, ge=0.01, le=1, allow_inf_nan=False)
    top_k: int | None = Field(default=None, ge=0, le=1_000_000)
    min_p: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    repetition_penalty: float | None = Field(default=None, ge=0.01, le=10, allow_inf_nan=False)
    max_tokens: int | None = Field(default=None, ge=1, le=2**31 - 1)
    context_limit: int | None = Field(default=None, ge=64, le=2**31 - 1)
    system_prompt: str = Field(default="", max_length=100_000)


class ConsequenceOut(BaseModel):
    text: str
    prevents: bool = Field(description="The deletion is refused as long as this holds.")


class DeletionOut(BaseModel):
    freed_bytes: int
    possible: bool
    consequences: list[ConsequenceOut]

    @classmethod
    def of(cls, deletion: Deletion) -> DeletionOut:
        return cls(
            freed_bytes=deletion.freed_bytes,
            possible=deletion.is_possible,
            consequences=[
                ConsequenceOut(text=each.text, prevents=each.prevents)
                for each in deletion.consequences
            ],
        )


class ConvertRequest(StrictRequest):
    name: str = Field(min_length=1, max_length=200, description="Of the new model.")
    quantization: Quantization | None = Field(default=None, description="null: unpacked.")
    dtype: Dtype | None = None
    measure: bool = True


class FuseRequest(StrictRequest):
    adapter: str = Field(min_length=1, max_length=120, description="Its slug over this model.")
    name: str = Field(min_length=1, max_length=200, description="Of the new model.")
    dequantize: bool = False
    measure: bool = True


class ExportRequest(StrictRequest):
    format: Format = "folder"


class JobOut(BaseModel):
    id: int
    kind: Literal["import", "convert", "fuse", "export", "verify"]
    subject: str
    model: str | None = Field(description="Slug of the model that it works on.")
    result: str | None = Field(description="Slug of the model that it made.")
    plan: dict[str, Any]
    state: StateName
    doing: str
    fraction: float = Field(description="How far it is, from 0 to 1.")
    error: str
    figures: dict[str, Any] = Field(description="What it measured or found.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: ModelJob) -> JobOut:
        same = [name for name in cls.model_fields if name not in {"model", "result"}]
        values: dict[str, Any] = {name: getattr(job, name) for name in same}
        return cls.model_validate(
            values
            | {
                "model": job.model.slug if job.model else None,
                "result": job.result.slug if job.result else None,
            }
        )


class JobList(BaseModel):
    jobs: list[JobOut] = Field(description="The newest first.")
    total: int


class DiskPart(BaseModel):
    key: str
    label: str
    size_bytes: int


class DiskModel(BaseModel):
    slug: str
    name: str
    size_bytes: int
    path: str = Field(description="Empty: in the hub's own models folder.")


class DiskLeftover(BaseModel):
    name: str
    size_bytes: int
    what: str


class DiskOut(BaseModel):
    used_bytes: int = Field(description="By the data folder.")
    free_bytes: int = Field(description="On its disk.")
    parts: list[DiskPart]
    models: list[DiskModel] = Field(description="The largest first; the hub's own, then others.")
    leftovers: list[DiskLeftover] = Field(description="Safe to remove.")

    @classmethod
    def of(cls, usage: Usage) -> DiskOut:
        own = next(part.items for part in usage.parts if part.key == "models")
        return cls(
            used_bytes=usage.own_bytes,
            free_bytes=usage.free_bytes,
            parts=[
                DiskPart(key=part.key, label=part.label, size_bytes=part.nbytes)
                for part in usage.parts
            ],
            models=[
                DiskModel(slug=item.slug, name=item.name, size_bytes=item.nbytes, path=item.place)
                for item in (*own, *usage.elsewhere)
            ],
            leftovers=[
                DiskLeftover(name=each.name, size_bytes=each.nbytes, what=each.what)
                for each in usage.leftovers
            ],
        )
