"""How far a run is: what its reports and its checkpoints say of its steps so far."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Window(BaseModel):
    """Sums over the steps since the last report."""

    model_config = ConfigDict(frozen=True)

    steps: int = 0
    loss: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    figures: tuple[float, ...] = ()
    """In the order of the objective's names."""


class Progress(BaseModel):
    """A value: each step and each evaluation makes a new one."""

    model_config = ConfigDict(frozen=True)

    step: int = 0
    tokens: int = 0
    """Trained so far."""
    seconds: float = 0.0
    """Spent on steps so far."""
    window: Window = Window()
    gradient_norm: float = 0.0
    """Of the newest update."""
    evaluated_at: int = -1
    """Step of the newest evaluation."""
    best_loss: float | None = None
    not_better: int = 0
    """Evaluations since the best one."""

    def after_step(
        self,
        *,
        loss: float,
        tokens: int,
        figures: tuple[float, ...],
        seconds: float,
        gradient_norm: float | None,
    ) -> Progress:
        """With one step more. ``gradient_norm`` is None where it updated no weights."""
        window = self.window
        return self.model_copy(
            update={
                "step": self.step + 1,
                "tokens": self.tokens + tokens,
                "seconds": self.seconds + seconds,
                "gradient_norm": self.gradient_norm if gradient_norm is None else gradient_norm,
                "window": Window(
                    steps=window.steps + 1,
                    loss=window.loss + loss,
                    tokens=window.tokens + tokens,
                    seconds=window.seconds + seconds,
                    figures=_sums(window.figures, figures),
                ),
            }
        )

    def after_report(self) -> Progress:
        """With nothing left to report."""
        return self.model_copy(update={"window": Window()})

    def is_best(self, loss: float) -> bool:
        """Whether no evaluation so far found a loss as low as this."""
        return self.best_loss is None or loss < self.best_loss

    def after_validation(self, loss: float) -> Progress:
        """With one evaluation more that found this loss."""
        if self.is_best(loss):
            return self.model_copy(update={"best_loss": loss, "not_better": 0})
        return self.model_copy(update={"not_better": self.not_better + 1})

    def after_evaluation(self) -> Progress:
        """With this step evaluated."""
        return self.model_copy(update={"evaluated_at": self.step})


def _sums(sofar: tuple[float, ...], new: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(sum, zip(sofar, new, strict=True))) if sofar else new
