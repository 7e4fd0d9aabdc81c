"""Health as JSON. Times are ISO 8601, in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from apps.system.health.findings import Checked, Report, State


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class AcceleratorOut(_Answer):
    backend: Literal["metal", "cuda", "cpu"]
    name: str
    blas: str | None
    memory_bytes: int
    memory_ceiling_bytes: int
    warning: str | None


class LoadedModelOut(_Answer):
    name: str
    context_length: int
    weights_bytes: int
    live_kv_bytes: int
    loaded_at: datetime
    last_used_at: datetime


class EngineStatusOut(_Answer):
    pid: int
    started_at: datetime
    accelerator: AcceleratorOut
    models: list[LoadedModelOut]
    loading: str | None = Field(description="The model that is being loaded.")
    active: int = Field(description="Sequences being prefilled or decoded.")
    queued: int
    steps: int = Field(description="Completed engine steps.")
    last_step_age: float | None = Field(description="Seconds since the last completed step.")
    loop_age: float = Field(description="Seconds since the engine's loop came round.")
    generated_tokens: int
    active_memory_bytes: int
    peak_memory_bytes: int


class ComponentOut(BaseModel):
    status: State
    detail: str = Field(description="What is the matter and why; of a healthy part, a figure.")
    remedy: str = Field(description="What to do; empty where all is well.")
    latency_ms: float

    @classmethod
    def of(cls, checked: Checked) -> ComponentOut:
        finding = checked.finding
        return cls(
            status=finding.state,
            detail=finding.detail,
            remedy=finding.remedy,
            latency_ms=checked.latency_ms,
        )


class EngineComponentOut(ComponentOut):
    state: EngineStatusOut | None = Field(default=None, description="Null where it is silent.")


class ComponentsOut(BaseModel):
    database: ComponentOut
    engine: EngineComponentOut
    queue: ComponentOut
    worker: ComponentOut
    disk: ComponentOut
    memory: ComponentOut
    hub: ComponentOut = Field(description="Hugging Face, or the mirror in its place.")
    certificate: ComponentOut = Field(description="For HTTPS, where the hub serves it itself.")
    starter: ComponentOut


class HealthOut(BaseModel):
    status: State = Field(
        description="down: no chat can be answered. degraded: something else is not."
    )
    components: ComponentsOut

    @classmethod
    def of(cls, report: Report) -> HealthOut:
        parts = {each.name: ComponentOut.of(each).model_dump() for each in report.checks}
        state = report.engine_status
        parts["engine"]["state"] = (
            None if state is None else EngineStatusOut.model_validate(state).model_dump()
        )
        return cls(status=report.state, components=ComponentsOut.model_validate(parts))
