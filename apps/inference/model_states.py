"""What the engine does with each model of the registry, as the Models page shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from apps.inference.engine.protocol import LoadedModel
from apps.inference.loads import Load, ModelLoads
from apps.inference.snapshot import EngineSnapshot
from apps.models.models import LocalModel

Kind = Literal["loaded", "loading", "not_loaded", "engine_down"]


@dataclass(frozen=True)
class ModelState:
    """One model's row. ``problem`` says what failed last and what to do; empty: nothing did."""

    model: LocalModel
    kind: Kind
    loaded: LoadedModel | None
    seconds: int | None
    """How long this hub's own load has been under way."""
    problem: str = ""

    @property
    def elapsed(self) -> str:
        return f"{self.seconds} s"

    @property
    def can_cancel(self) -> bool:
        return self.kind == "loading" and self.seconds is not None


def _state(model: LocalModel, engine: EngineSnapshot, load: Load | None) -> ModelState:
    loaded = None
    if engine.status is not None:
        loaded = next((m for m in engine.status.models if m.digest == model.digest), None)
    running = load is not None and load.running
    kind: Kind
    if engine.status is None:
        kind = "engine_down"
    elif loaded is not None:
        kind = "loaded"
    elif running or engine.status.loading == model.slug:
        kind = "loading"
    else:
        kind = "not_loaded"
    failure = load.error if load is not None and kind == "not_loaded" else None
    return ModelState(
        model=model,
        kind=kind,
        loaded=loaded,
        seconds=load.seconds if load is not None and running else None,
        problem=failure.message if failure is not None else "",
    )


def model_states(
    models: Iterable[LocalModel], engine: EngineSnapshot, loads: ModelLoads
) -> list[ModelState]:
    """A state for each model, in their order."""
    return [_state(model, engine, loads.get(model.digest)) for model in models]
