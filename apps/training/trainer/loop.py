"""The run: evaluate, train, report, save, until it is over or somebody wants it to stop."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_unflatten

from apps.training.trainer.checkpoints import Checkpoints, Progress, Window
from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.control import Control, Wish
from apps.training.trainer.data import Batch, Course, TokenRows, as_batch, spread
from apps.training.trainer.errors import LossNotFinite
from apps.training.trainer.events import (
    Ended,
    Evaluated,
    EventLog,
    Reason,
    RowLoss,
    Sampled,
    Saved,
    Trained,
)
from apps.training.trainer.results import Results
from apps.training.trainer.samples import answers
from apps.training.trainer.setup import make_optimizer, trainable
from apps.training.trainer.steps import Gradients, Step, compiled_step, losses_of

_SHOWN_ROWS = 3
"""Validation rows told at each end: the best and the worst predicted."""

_STEP_SEEDS = 1_000_003
"""Steps that have random numbers of their own before another seed's come up again."""


class Trainer:
    def __init__(
        self,
        config: TrainingConfig,
        run: Path,
        model: nn.Module,
        tokenizer: Any,
        train: TokenRows,
        valid: TokenRows,
        log: EventLog,
        control: Control,
    ) -> None:
        """``model``: with its trainable parameters. Goes on from the run's newest checkpoint.

        Raises BadConfig, CheckpointDamaged.
        """
        self._config = config
        self._model = model
        self._tokenizer = tokenizer
        self._log = log
        self._control = control
        self._course = Course(train, config.batch_size, config.seed)
        self._validation = spread(valid.batches(config.batch_size), config.val_batches)
        self._checkpoints = Checkpoints(run, config.keep_checkpoints)
        self._results = Results(run, config)
        self._optimizer: optim.Optimizer = make_optimizer(config)
        self._optimizer.init(model.trainable_parameters())
        self._gradients: Gradients | None = None
        self.progress = Progress()
        self._restore()

    def run(self) -> Ended:
        """Train to the end, or to where somebody stops it. Raises TrainingFault."""
        step = compiled_step(self._model, self._optimizer, self._config)
        course = self._course.from_step(self.progress.step)
        while True:
            if self._evaluation_due:
                self._evaluate()
            reason = self._ending()
            if reason is not None:
                return self._end(reason)
            self._train(step, as_batch(next(course), self._config.max_seq_length))
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
        return bool(self._validation) and due and self.progress.evaluated_at != step

    @property
    def _report_due(self) -> bool:
        step = self.progress.step
        return step % self._config.steps_per_report == 0 or step == self._config.iters

    @property
    def _save_due(self) -> bool:
        every = self._config.steps_per_save
        # The first update's end behind a multiple.
        return self._at_update and self.progress.step % every < self._config.accumulation

    def _ending(self) -> Reason | None:
        """Why the run is to end here; None where it goes on."""
        config, progress = self._config, self.progress
        if progress.step >= config.iters:
            return "finished"
        wish = self._control.look()
        if wish is Wish.CANCEL:
            return "cancelled"
        if not self._at_update:
            return None
        if config.patience is not None and progress.not_better >= config.patience:
            return "early_stopping"
        stops: dict[Wish, Reason] = {Wish.STOP: "stopped", Wish.ABANDONED: "abandoned"}
        return stops.get(wish)

    # --- what is done ---------------------------------------------------------

    def _train(self, step: Step, batch: Batch) -> None:
        started = time.perf_counter()
        done = self.progress
        # Random numbers follow from the step, so that a resumed run draws the same ones.
        mx.random.seed(self._config.seed * _STEP_SEEDS + done.step)
        updates = (done.step + 1) % self._config.accumulation == 0
        loss, count, self._gradients, norm = step(
            batch.tokens, batch.spans, self._gradients, updates
        )
        mx.eval(self._model.state, self._optimizer.state, self._gradients, loss, count, norm)
        seconds = time.perf_counter() - started
        window = done.window
        self.progress = done.model_copy(
            update={
                "step": done.step + 1,
                "tokens": done.tokens + int(count),
                "seconds": done.seconds + seconds,
                "gradient_norm": float(norm) if updates else done.gradient_norm,
                "window": Window(
                    steps=window.steps + 1,
                    loss=window.loss + _finite(float(loss), done.step + 1),
                    tokens=window.tokens + int(count),
                    seconds=window.seconds + seconds,
                ),
            }
        )

    def _report(self) -> None:
        window = self.progress.window
        self._log.tell(
            Trained(
                step=self.progress.step,
                loss=window.loss / window.steps,
                learning_rate=float(self._optimizer.learning_rate),
                gradient_norm=self.progress.gradient_norm,
                tokens=self.progress.tokens,
                tokens_per_second=window.tokens / max(window.seconds, 1e-9),
                seconds=self.progress.seconds,
                peak_memory=mx.get_peak_memory(),
            )
        )
        self.progress = self.progress.model_copy(update={"window": Window()})

    def _evaluate(self) -> None:
        started = time.perf_counter()
        self._model.eval()
        rows = [
            row
            for batch in self._validation
            for row in losses_of(self._model, as_batch(batch, self._config.max_seq_length))
        ]
        texts = list(answers(self._model, self._tokenizer, self._config))
        self._model.train()
        step = self.progress.step
        tokens = sum(count for _, _, count in rows)
        loss = _finite(sum(mean * count for _, mean, count in rows) / max(tokens, 1), step)
        best = self.progress.best_loss is None or loss < self.progress.best_loss
        if best and self._config.keep_best:
            self._results.keep_best(trainable(self._model))
        self.progress = self.progress.model_copy(
            update={
                "evaluated_at": step,
                "best_loss": loss if best else self.progress.best_loss,
                "not_better": 0 if best else self.progress.not_better + 1,
            }
        )
        ranked = sorted((RowLoss(row=row, loss=mean) for row, mean, _ in rows), key=_loss)
        self._log.tell(
            Evaluated(
                step=step,
                loss=loss,
                seconds=time.perf_counter() - started,
                best=best,
                best_rows=tuple(ranked[:_SHOWN_ROWS]),
                worst_rows=tuple(ranked[-_SHOWN_ROWS:][::-1]),
            )
        )
        for prompt, text in enumerate(texts):
            self._log.tell(Sampled(step=step, prompt=prompt, text=text))

    def _save(self) -> None:
        optimizer = dict(tree_flatten(self._optimizer.state))
        if self._checkpoints.save(self.progress, trainable(self._model), optimizer):
            self._log.tell(Saved(step=self.progress.step))

    def _end(self, reason: Reason) -> Ended:
        if reason != "cancelled":
            self._save()
            self._results.write(self._model, self._tokenizer)
        ended = Ended(step=self.progress.step, reason=reason)
        self._log.tell(ended)
        return ended

    def _restore(self) -> None:
        newest = self._checkpoints.newest()
        if newest is None:
            return
        self.progress, weights, optimizer = newest
        self._model.load_weights(list(weights.items()), strict=False)
        self._optimizer.state = tree_unflatten(list(optimizer.items()))
        mx.eval(self._model.parameters(), self._optimizer.state)


def _loss(row: RowLoss) -> float:
    return row.loss


def _finite(loss: float, step: int) -> float:
    if math.isfinite(loss):
        return loss
    raise LossNotFinite(
        f"The loss became {loss} at step {step}. Halve the learning rate, add a warm-up, or limit "
        "the gradient norm; then resume the run from its newest checkpoint, or start it anew."
    )
