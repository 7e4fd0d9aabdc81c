"""What the engine does with each model of the registry, as the Models page shows it."""

from __future__ import annotations

import time
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
    share: float = 0.0
    """How much of it is loaded while it is being loaded, 0 to 1."""
    problem: str = ""

    @property
    def progress(self) -> str:
        """How far the load is: in percent, or in seconds until that is known."""
        if self.share:
            return f" {self.share:.0%}"
        return "" if self.seconds is None else f" {self.seconds} s"

    @property
    def stays(self) -> str:
        """How long a loaded model stays if nobody uses it."""
        assert self.loaded is not None
        if self.loaded.pinned:
            return "for good: it is kept loaded"
        if self.loaded.unloads_at is None:
            return "for good"
        minutes = max(0, self.loaded.unloads_at - time.time()) / 60
        return f"{minutes:.0f} min more without use" if minutes >= 1 else "for less than a minute"

    @property
    def drafts_accepted(self) -> str:
        """How many of the draft's tokens held; empty before it proposed any."""
        speculation = self.loaded.speculation if self.loaded is not None else None
        if speculation is None or not speculation.drafted:
            return ""
        return f"{speculation.accepted / speculation.drafted:.0%} of its tokens accepted"

    @property
    def can_cancel(self) -> bool:
        return self.kind == "loading" and self.seconds is not None


def _state(model: LocalModel, engine: EngineSnapshot, load: Load | None) -> ModelState:
    loaded = None
    if engine.status is not None:
        loaded = next((m for m in engine.status.models if m.digest == model.digest), None)
    running = load is not None and load.running
    loading = engine.status is not None and engine.status.loading == model.slug
    kind: Kind
    if engine.status is None:
        kind = "engine_down"
    elif loaded is not None:
        kind = "loaded"
    elif running or loading:
        kind = "loading"
    else:
        kind = "not_loaded"
    failure = load.error if load is not None and kind == "not_loaded" else None
    return ModelState(
        model=model,
        kind=kind,
        loaded=loaded,
        seconds=load.seconds if load is not None and running else None,
        share=engine.status.loading_share if engine.status is not None and loading else 0.0,
        problem=failure.message if failure is not None else "",
    )


def model_states(
    models: Iterable[LocalModel], engine: EngineSnapshot, loads: ModelLoads
) -> list[ModelState]:
    """A state for each model, in their order."""
    return [_state(model, engine, loads.get(model.digest)) for model in models]
