"""The run: evaluate, train, report, save, until it is over or somebody wants it to stop."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from apps.training.trainer.batches import Batch, Course, Splits, as_batch, spread
from apps.training.trainer.checkpoints import Checkpoints
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.control import Control, Wish
from apps.training.trainer.errors import LossNotFinite
from apps.training.trainer.evaluation import evaluate
from apps.training.trainer.events import Ended, Evaluated, EventLog, Reason, Sampled, Saved, Trained
from apps.training.trainer.objectives import objective_of
from apps.training.trainer.progress import Progress
from apps.training.trainer.ranks import World
from apps.training.trainer.results import Results
from apps.training.trainer.samples import answers
from apps.training.trainer.setup import make_optimizer
from apps.training.trainer.state import TrainingState
from apps.training.trainer.steps import Gradients, Step, compiled_step
from apps.training.trainer.testing import FinalTest

_WISHES = tuple(Wish)

_REASONS: dict[Wish, Reason] = {
    Wish.CANCEL: "cancelled",
    Wish.STOP: "stopped",
    Wish.ABANDONED: "abandoned",
}

_STEP_SEEDS = 1_000_003
"""Steps that have random numbers of their own before another seed's come up again."""


class Trainer:
    def __init__(
        self,
        config: TrainingConfig,
        run: Path,
        model: nn.Module,
        tokenizer: Any,
        splits: Splits,
        log: EventLog,
        control: Control,
        world: World,
    ) -> None:
        """``model``: with its trainable parameters. Goes on from the run's newest checkpoint.

        Raises BadConfig, CheckpointDamaged.
        """
        self._config = config
        self._tokenizer = tokenizer
        self._log = log
        self._control = control
        self._world = world
        self._objective = objective_of(config)
        self._course = Course(splits.train, config.batch_size, config.seed)
        self._validation = spread(splits.valid.batches(config.batch_size), config.val_batches)
        self._test = FinalTest(
            run,
            spread(splits.test.batches(config.batch_size), config.test_batches),
            self._objective,
            config.max_seq_length,
            world,
        )
        self._checkpoints = Checkpoints(run, config.keep_checkpoints)
        self._results = Results(run, config)
        self._state = TrainingState(model, make_optimizer(config))
        self._state.restore(self._checkpoints, world)
        self._gradients: Gradients | None = None

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        return self._state.progress

    def run(self) -> Ended:
        """Train to the end, or to where somebody stops it. Raises TrainingFault."""
        state, course = self._state, self._course.from_step(self.progress.step)
        step = compiled_step(
            state.model, state.optimizer, self._config, self._objective, self._world
        )
        limit, world = self._config.max_seq_length, self._world
        while True:
            reason = self._wish()
            if reason is None and self._evaluation_due:
                self._evaluate()
            reason = reason or self._ending()
            if reason is not None:
                return self._end(reason)
            self._train(step, as_batch(next(course), limit, rank=world.rank, ranks=world.size))
            world.beat()
            if self._report_due:
                self._report()
            if self._save_due:
                self._save()

    # --- what is due ----------------------------------------------------------

    @property
    def _at_update(self) -> bool:
        """Whether no gradients are waiting for others: only then a checkpoint is the whole state."""
        return self._gradients is None

    @property
    def _evaluation_due(self) -> bool:
        step = self.progress.step
        due = step % self._config.steps_per_eval == 0 or step == self._config.iters
        wanted = bool(self._validation or self._config.prompts)
        return wanted and due and self.progress.evaluated_at != step

    @property
    def _report_due(self) -> bool:
        step = self.progress.step
        return step % self._config.steps_per_report == 0 or step == self._config.iters

    @property
    def _save_due(self) -> bool:
        every = self._config.steps_per_save
        # The first update's end behind a multiple.
        return self._at_update and self.progress.step % every < self._config.accumulation

    def _wish(self) -> Reason | None:
        """Why somebody wants the run to end here; None where nobody does."""
        if self.progress.step >= self._config.iters:
            return None
        wish = self._asked()
        if wish is Wish.CANCEL or self._at_update:
            return _REASONS.get(wish)
        return None

    def _asked(self) -> Wish:
        """The first rank's: where some would go on and others not, all would wait for ever."""
        asked = self._control.look() if self._world.is_first else Wish.GO_ON
        return _WISHES[self._world.decided(_WISHES.index(asked))]

    def _ending(self) -> Reason | None:
        """Why the run is over; None where it goes on."""
        config, progress = self._config, self.progress
        if progress.step >= config.iters:
            return "finished"
        stale = config.patience is not None and progress.not_better >= config.patience
        return "early_stopping" if stale and self._at_update else None

    # --- what is done ---------------------------------------------------------

    def _train(self, step: Step, batch: Batch) -> None:
        started = time.perf_counter()
        state, done = self._state, self.progress
        # Random numbers follow from the step, so that a resumed run draws the same ones.
        place = self._config.seed * _STEP_SEEDS + done.step
        mx.random.seed(place * self._world.size + self._world.rank)
        updates = (done.step + 1) % self._config.accumulation == 0
        found = step(batch.inputs, self._gradients, updates)
        self._gradients = found.gradients
        mx.eval(state.model.state, state.optimizer.state, found)
        state.progress = done.after_step(
            seconds=time.perf_counter() - started,
            loss=_finite(float(found.loss), done.step + 1),
            tokens=int(found.tokens),
            figures=tuple(float(figure) for figure in found.figures),
            gradient_norm=float(found.norm) if updates else None,
        )

    def _report(self) -> None:
        window = self.progress.window
        self._log.tell(
            Trained(
                step=self.progress.step,
                loss=window.loss / window.steps,
                learning_rate=float(self._state.optimizer.learning_rate),
                gradient_norm=self.progress.gradient_norm,
                tokens=self.progress.tokens,
                tokens_per_second=window.tokens / max(window.seconds, 1e-9),
                seconds=self.progress.seconds,
                peak_memory=mx.get_peak_memory(),
                figures={
                    name: total / window.steps
                    for name, total in zip(self._objective.figures, window.figures, strict=True)
                },
            )
        )
        self._state.progress = self.progress.after_report()

    def _evaluate(self) -> None:
        """What the validation rows and the chosen prompts say, as far as there are any."""
        step = self.progress.step
        if self._validation:
            self._validate(step)
        self._state.progress = self.progress.after_evaluation()
        for prompt, text in enumerate(self._samples()):
            self._log.tell(Sampled(step=step, prompt=prompt, text=text))

    def _validate(self, step: int) -> None:
        started = time.perf_counter()
        found = evaluate(
            self._state.model,
            self._objective,
            self._validation,
            self._config.max_seq_length,
            self._world,
        )
        loss = _finite(found.loss, step)
        best = self.progress.is_best(loss)
        if best and self._config.keep_best and self._world.is_first:
            self._results.keep_best(self._state.weights)
        self._state.progress = self.progress.after_validation(loss)
        self._log.tell(
            Evaluated(
                step=step,
                loss=loss,
                seconds=time.perf_counter() - started,
                best=best,
                figures=found.figures,
                best_rows=found.best_rows,
                worst_rows=found.worst_rows,
            )
        )

    def _samples(self) -> list[str]:
        if not self._world.is_first:
            return []
        model = self._state.model
        model.eval()
        texts = list(answers(model, self._tokenizer, self._config))
        model.train()
        return texts

    def _save(self) -> None:
        if self._world.is_first and self._state.save(self._checkpoints):
            self._log.tell(Saved(step=self.progress.step))

    def _end(self, reason: Reason) -> Ended:
        if reason != "cancelled":
            self._save()
            if self._world.is_first:
                self._results.write(self._state.model, self._tokenizer)
        if reason in ("finished", "early_stopping"):
            reason = self._measure() or reason
        ended = Ended(step=self.progress.step, reason=reason)
        self._log.tell_last(ended)
        return ended

    def _measure(self) -> Reason | None:
        """Test the result; why that was broken off, None where it was not."""
        if self._config.keep_best:
            self._state.follow_weights(self._world)
        asked = Wish.GO_ON

        def is_wanted() -> bool:
            nonlocal asked
            asked = self._asked()
            return asked is Wish.GO_ON

        found = self._test.tested(self._state.model, self.progress.step, is_wanted)
        if found is not None:
            _finite(found.loss, found.step)
            self._log.tell(found)
        return _REASONS.get(asked)


def _finite(loss: float, step: int) -> float:
    if math.isfinite(loss):
        return loss
    raise LossNotFinite(
        f"The loss became {loss} at step {step}. Halve the learning rate, add a warm-up, or limit "
        "the gradient norm; then resume the run from its newest checkpoint, or start it anew."
    )
