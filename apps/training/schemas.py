"""A training job as JSON: what the REST API takes and answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from apps.jobs.rest import StateName
from apps.training.models import TrainingJob
from apps.training.preflight import Preflight
from apps.training.series import Curve
from apps.training.shown import perplexity_of
from apps.training.sources import name_of


class TestOut(BaseModel):
    """How well the result of a job that is through predicts rows that nothing was chosen by."""

    __test__ = False  # or pytest takes it for one of its own

    step: int
    loss: float = Field(description="The objective's, over all rows.")
    perplexity: float | None = Field(description="null: the loss is no cross entropy.")
    rows: int
    seconds: float
    figures: dict[str, float] = Field(description="Rewards of pairs; empty of others.")

    @classmethod
    def of(cls, job: TrainingJob) -> TestOut | None:
        if not job.test:
            return None
        return cls.model_validate(job.test | {"perplexity": perplexity_of(job)})


class JobOut(BaseModel):
    id: int
    name: str
    model: str | None = Field(description="Of the base, in API calls; null: it was deleted.")
    data: str = Field(description="Folder with train.jsonl and, for validation, valid.jsonl.")
    dataset: str | None = Field(description="Whose folder it is, as `words@3`; null: no dataset's.")
    settings: dict[str, Any]
    state: StateName
    doing: str
    step: int
    steps: int
    priority: int = Field(description="1: before others, 0, -1: behind them.")
    not_before: datetime | None = Field(description="It waits until then.")
    after: int | None = Field(description="The job that has to be over before.")
    waits: str = Field(description="What a queued job waits for beside its turn; empty: nothing.")
    self_resuming: bool = Field(description="Whether it goes on by itself where a process died.")
    stopped: bool = Field(description="Whether it was stopped with what it had learnt saved.")
    sweep: int | None = Field(description="What it was ordered with; null: by itself.")
    facts: dict[str, Any] = Field(description="What the trainer found; empty until it has begun.")
    ending: str = Field(description="Why the run ended; empty where it did not.")
    fault: str = Field(description="Kind of the failure; empty where there was none.")
    error: str
    start_adapter: str | None = Field(
        description="The adapter that it goes on from; null: none, or it is deleted."
    )
    test: TestOut | None = Field(description="Its result on the test rows; null: not measured.")
    made: str = Field(description="Name in API calls of what it made; empty: nothing yet.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: TrainingJob) -> JobOut:
        same = {name: getattr(job, name) for name in _SAME}
        return cls.model_validate(
            same
            | {
                "model": job.base.slug if job.base else None,
                "dataset": name_of(job.dataset) if job.dataset else None,
                "made": job.api_name,
                "start_adapter": str(job.start_adapter) if job.start_adapter else None,
                "test": TestOut.of(job),
                "after": job.after_id,
                "sweep": job.sweep_id,
                "stopped": job.is_stopped,
                "waits": job.hindrance if job.state == job.State.QUEUED else "",
            }
        )


_SAME = (
    "id", "name", "data", "settings", "state", "doing", "step", "steps", "facts", "ending",
    "fault", "error", "created_at", "started_at", "finished_at", "priority", "not_before",
    "self_resuming",
)  # fmt: skip


class JobList(BaseModel):
    jobs: list[JobOut] = Field(description="The newest first.")
    total: int = Field(description="How many there are, whatever was asked for.")


class PlaceRequest(BaseModel):
    """When a job is to have its turn. What is left out is as usual."""

    model_config = ConfigDict(extra="forbid")

    priority: Literal[-1, 0, 1] = Field(default=0, description="1: before others; -1: behind.")
    not_before: AwareDatetime | None = Field(default=None, description="It waits until then.")
    after: int | None = Field(
        default=None, ge=1, le=2**63 - 1, description="A job that has to be over, however it ends."
    )
    self_resuming: bool = Field(
        default=True, description="Go on by itself where a process died or the hub was stopped."
    )


class JobRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str = Field(min_length=1, max_length=200, description="Name of the base.")
    data: str = Field(
        min_length=1,
        max_length=1000,
        description="A dataset, as `words` or `words@3`; an owner may name a folder on the hub's "
        "machine with train.jsonl.",
    )
    name: str = Field(min_length=1, max_length=120, description="What the result is to be called.")
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Of the trainer; what is left out is chosen to suit model, data and machine.",
    )
    config: str = Field(
        default="",
        max_length=100_000,
        description="Settings as mlx-lm's YAML; `settings` count more, `model` and `data` most.",
    )
    despite_refusals: bool = Field(
        default=False, description="Queue it even where preflight says that it can't work."
    )
    place: PlaceRequest = Field(default_factory=PlaceRequest, description="When it has its turn.")


class FindingOut(BaseModel):
    level: Literal["refused", "warning", "note"]
    text: str
    safer: dict[str, Any] = Field(description="Settings that mend it.")


class PreflightOut(BaseModel):
    """Bytes, seconds and tokens; what is estimated says so."""

    settings: dict[str, Any] = Field(description="All of them, with those that were chosen.")
    verdict: Literal["fits", "tight", "too big", "unknown"]
    needed_bytes: int = Field(description="Estimated peak memory.")
    free_bytes: int
    disk_bytes: int
    steps: int
    epochs: float
    rows: int
    validation_rows: int
    test_rows: int
    truncated: float = Field(description="Share of the rows that are cut, 0.0 to 1.0.")
    lost: float = Field(description="Share of the tokens that are cut off, 0.0 to 1.0.")
    seconds: float | None = Field(description="Estimated; null: this base was never timed here.")
    seconds_from: Literal["measured", "runs", "other shape"] | None = Field(
        description="A step of this shape that was timed, earlier runs, or a step of another shape."
    )
    unload_first: list[str] = Field(description="Loaded models whose memory it needs.")
    findings: list[FindingOut]
    config: str = Field(description="The settings as mlx-lm's YAML.")

    @classmethod
    def of(cls, found: Preflight, settings: dict[str, Any], config: str) -> PreflightOut:
        return cls(
            settings=settings,
            verdict=found.fit.verdict,  # type: ignore[arg-type]
            needed_bytes=found.fit.needed_bytes,
            free_bytes=found.fit.free_bytes,
            disk_bytes=found.disk_bytes,
            steps=found.steps,
            epochs=found.epochs,
            rows=found.material.rows,
            validation_rows=found.material.validation_rows,
            test_rows=found.material.test_rows,
            truncated=found.truncated,
            lost=found.lost,
            seconds=found.seconds,
            seconds_from=found.pace.source if found.pace else None,
            unload_first=list(found.in_the_way),
            findings=[
                FindingOut(level=one.level, text=one.text, safer=one.safer)
                for one in found.findings
            ],
            config=config,
        )


class CurveOut(BaseModel):
    """Parallel lists. Where a point stands for several steps, ``step`` is their first."""

    step: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]

    @classmethod
    def of(cls, curve: Curve) -> CurveOut:
        return cls(step=curve.step, mean=curve.mean, low=curve.low, high=curve.high)


class MetricsOut(BaseModel):
    curves: dict[str, CurveOut] = Field(description="By name; only those that have points.")


class TailOut(BaseModel):
    text: str = Field(description="Whole lines.")
    next: int = Field(description="Bytes read: what `after` is to be the next time.")


class SweepRequest(JobRequest):
    grid: dict[str, Annotated[list[float], Field(min_length=1, max_length=20)]] = Field(
        description="Values to try, as `learning_rate: [1e-4, 5e-5]`; at most 20 combinations."
    )
    despite_refusals: Literal[False] = Field(
        default=False, description="A sweep is queued whole or not at all."
    )


class SweepJobOut(BaseModel):
    id: int
    name: str
    state: str
    values: dict[str, str] = Field(description="Of the settings that differ.")
    loss: float | None
    best_validation_loss: float | None


class SweepOut(BaseModel):
    id: int
    name: str
    grid: dict[str, list[float]]
    jobs: list[SweepJobOut] = Field(description="In the order of the grid's combinations.")
    best: int | None = Field(description="The job with the lowest validation loss.")


class WaitingOut(BaseModel):
    """One job of the line, of whatever kind."""

    kind: str
    id: int
    name: str
    state: Literal["queued", "running"]
    waits: str = Field(description="What it waits for beside its turn; empty: nothing.")


class LineOut(BaseModel):
    jobs: list[WaitingOut] = Field(description="The one at work first, then in order.")


class MoveRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: int = Field(ge=-1000, le=1000, description="Places; negative: towards the front.")
