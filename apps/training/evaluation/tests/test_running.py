"""An evaluation through a real engine: the figures are the model's own."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from apps.inference.client import EngineClient
from apps.inference.tests.real_engine import home, real_engine, real_hub
from apps.jobs.models import JobState
from apps.models.models import Adapter, LocalModel
from apps.training.evaluation import asking, services
from apps.training.evaluation.models import Evaluation, Finding
from apps.training.evaluation.plan import Check, Plan
from apps.training.evaluation.results import scores
from apps.training.evaluation.running import run
from apps.training.evaluation.tests.conftest import make_dataset
from apps.training.trainer.tests.runs import rows

__all__ = ["home", "real_engine", "real_hub"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pirate(real_hub: EngineClient, home: Path) -> Adapter:
    from apps.inference.engine.adapters.tests.tiny_adapters import spec_of, write_tiny_adapter
    from apps.inference.engine.tests.tiny import tiny_model

    folder = home / "adapters" / "pirate"
    if not folder.exists():
        write_tiny_adapter(folder, tiny_model(), seed=1, rank=4)
    spec = spec_of(folder)
    return Adapter.objects.create(
        base=LocalModel.objects.get(slug="tiny"), slug="pirate", name="Pirate", path=str(folder),
        digest=spec.digest,
    )  # fmt: skip


@pytest.fixture
def evaluation(pirate: Adapter) -> Evaluation:
    version = make_dataset(rows(4, first=50), slug=f"numbers-{Evaluation.objects.count()}")
    plan = Plan(
        subjects=("tiny", "tiny:pirate"),
        loss_rows=3,
        question_rows=1,
        prompts=("Ahoy?",),
        max_tokens=4,
        check=Check(kind="exact"),
    )
    return services.order(plan=plan, version=version)


def done(evaluation: Evaluation, stops: threading.Event | None = None) -> Evaluation:
    run(evaluation, stops=stops or threading.Event())
    evaluation.refresh_from_db()
    return evaluation


def loss_by_mlx_lm(home: Path, evaluation: Evaluation) -> float:
    """Of the base model over the evaluation's rows, as mlx-lm's trainer counts it."""
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm import load
    from mlx_lm.tuner.datasets import CompletionsDataset

    model, tokenizer = load(str(home / "tiny"))
    given = rows(4, first=50)
    data = CompletionsDataset(
        [given[line] for line in evaluation.lines], tokenizer, "prompt", "completion", True
    )
    total, count = 0.0, 0
    for index in range(len(data)):
        tokens, offset = data.process(data[index])
        logits = model(mx.array([tokens[:-1]]))
        losses = nn.losses.cross_entropy(logits[0], mx.array(tokens[1:]))[offset - 1 :]
        total, count = total + losses.sum().item(), count + losses.size
    return total / count


def test_base_and_adapter_are_asked_the_same(
    evaluation: Evaluation, home: Path, real_engine: EngineClient
) -> None:
    done(evaluation)
    assert (evaluation.state, evaluation.error) == (JobState.DONE, "")
    base, adapter = scores(evaluation)
    assert base.rows == adapter.rows == 3
    assert base.tokens == adapter.tokens > 0
    assert base.loss == pytest.approx(loss_by_mlx_lm(home, evaluation), abs=2e-3)
    assert base.perplexity == pytest.approx(math.exp(base.loss))
    assert adapter.loss != pytest.approx(base.loss, abs=1e-4)
    assert (base.answered, base.judged) == (2, 1), "the prompt has no right answer"
    texts = Finding.objects.filter(answers=True).values_list("text", flat=True)
    assert len(texts) == 4


def test_what_is_found_is_not_asked_again(
    evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops = threading.Event()
    monkeypatch.setattr(asking, "AT_ONCE", 1)
    kept = Finding.save

    def stop_after_two(self: Finding, **options: object) -> None:
        kept(self, **options)
        if Finding.objects.count() == 2:
            stops.set()

    monkeypatch.setattr(Finding, "save", stop_after_two)
    assert done(evaluation, stops).state == JobState.QUEUED
    first = set(Finding.objects.values_list("pk", flat=True))
    assert len(first) == 2
    assert done(evaluation).state == JobState.DONE
    assert Finding.objects.count() == evaluation.calls
    assert first <= set(Finding.objects.values_list("pk", flat=True))


def test_a_row_that_is_too_long_does_not_end_the_evaluation(pirate: Adapter) -> None:
    version = make_dataset([{"prompt": "a" * 600, "completion": "b"}, *rows(1)], slug="long")
    plan = Plan(subjects=("tiny",), loss_rows=2, question_rows=2, max_tokens=2)
    evaluation = done(services.order(plan=plan, version=version))
    assert evaluation.state == JobState.DONE
    (score,) = scores(evaluation)
    assert (score.rows, score.answered, score.refused) == (1, 1, 2)


def test_without_its_model_it_fails_with_the_reason(evaluation: Evaluation) -> None:
    Adapter.objects.all().delete()
    done(evaluation)
    assert evaluation.state == JobState.FAILED
    assert "has no adapter 'pirate'" in evaluation.error
