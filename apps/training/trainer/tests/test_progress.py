"""How far a run is, as a value."""

from __future__ import annotations

import pytest

from apps.training.trainer.progress import Progress, Window


def stepped(progress: Progress, *, gradient_norm: float | None = 1.5) -> Progress:
    return progress.after_step(
        loss=2.0, tokens=10, figures=(0.5, 1.0), seconds=0.25, gradient_norm=gradient_norm
    )


def test_a_step_counts_in_the_run_and_in_the_window_of_the_next_report():
    progress = stepped(stepped(Progress()))
    assert (progress.step, progress.tokens, progress.seconds) == (2, 20, 0.5)
    assert progress.window == Window(steps=2, loss=4.0, tokens=20, seconds=0.5, figures=(1.0, 2.0))


def test_a_report_empties_the_window_and_nothing_else():
    before = stepped(Progress())
    after = before.after_report()
    assert after.window == Window()
    assert after.model_copy(update={"window": before.window}) == before


def test_a_step_that_updates_nothing_keeps_the_norm_of_the_newest_update():
    assert stepped(stepped(Progress()), gradient_norm=None).gradient_norm == 1.5


@pytest.mark.parametrize(
    ("losses", "best", "not_better"),
    [((3.0,), 3.0, 0), ((3.0, 2.0), 2.0, 0), ((3.0, 3.0, 4.0), 3.0, 2), ((3.0, 4.0, 2.0), 2.0, 0)],
)
def test_a_loss_is_best_only_where_it_is_lower_than_all_before(losses, best, not_better):
    progress = Progress()
    for loss in losses:
        progress = progress.after_validation(loss)
    assert (progress.best_loss, progress.not_better) == (best, not_better)


def test_an_evaluation_is_of_the_step_that_it_came_behind():
    assert stepped(Progress()).after_evaluation().evaluated_at == 1
