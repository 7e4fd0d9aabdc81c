"""A benchmark run as JSON: what the REST API answers and what an export holds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from apps.inference.benchmarks.measuring.figures import Figures
from apps.inference.benchmarks.measuring.plan import FULL, MAX_CLIENTS, QUICK, Plan
from apps.inference.benchmarks.measuring.targets import warm_target
from apps.inference.models import BenchmarkRun

Kind = Literal["quick", "full"]

PLANS: dict[Kind, Plan] = {"quick": QUICK, "full": FULL}


class ProgressOut(BaseModel):
    done: int
    total: int
    doing: str


class BenchmarkOut(BaseModel):
    """Seconds, bytes and tokens; each figure with every sample and their median."""

    id: int
    base_url: str = Field(description="Empty: this hub.")
    model: str
    model_digest: str = Field(description="Empty: not known.")
    parameters: int | None = Field(description="Number of weights; null: not known.")
    warm_target_seconds: float | None = Field(
        description="What a warm time to first token should stay below; null: no target."
    )
    plan: Plan
    state: Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
    progress: ProgressOut
    figures: Figures | None
    peak_memory_bytes: int | None = Field(
        description="Of the engine, during the run; null: another server's, or not known."
    )
    machine: dict[str, Any] = Field(
        description="Where it ran; with another server, what it was measured from."
    )
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, run: BenchmarkRun) -> BenchmarkOut:
        same = {name: getattr(run, name) for name in _SAME}
        return cls.model_validate(
            same
            | {
                "model": run.model_name,
                "warm_target_seconds": warm_target(run.parameters),
                "progress": ProgressOut(
                    done=run.steps_done, total=run.steps_total, doing=run.doing
                ),
            }
        )


_SAME = (
    "id",
    "base_url",
    "model_digest",
    "parameters",
    "plan",
    "state",
    "figures",
    "peak_memory_bytes",
    "machine",
    "error",
    "created_at",
    "started_at",
    "finished_at",
)


class BenchmarkList(BaseModel):
    benchmarks: list[BenchmarkOut] = Field(description="The newest first.")
    total: int = Field(description="How many there are, whatever was asked for.")


class BenchmarkRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str = Field(min_length=1, max_length=200)
    base_url: str = Field(
        default="",
        max_length=500,
        description="Another OpenAI-compatible server, as http://HOST:PORT/v1. Empty: this hub. "
        "Servers that want an API key are measured with `mlx-hub bench --api-key-env`.",
    )
    kind: Kind = Field(default="quick", description="What the fields below are by default.")
    rounds: int | None = Field(default=None, ge=1, le=20)
    clients: list[Annotated[int, Field(ge=1, le=MAX_CLIENTS)]] | None = Field(
        default=None, min_length=1, max_length=10, description="Numbers of clients at once."
    )
    system_tokens: int | None = Field(default=None, ge=50, le=100_000)
    decode_tokens: int | None = Field(default=None, ge=8, le=4096)

    def plan(self) -> Plan:
        """What is to be measured; the fields' limits are the plan's."""
        return PLANS[self.kind].but(
            rounds=self.rounds,
            clients=self.clients,
            system_tokens=self.system_tokens,
            decode_tokens=self.decode_tokens,
        )
