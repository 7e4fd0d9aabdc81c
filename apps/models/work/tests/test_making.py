"""Conversions and fusions, with a process that only pretends to work."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.jobs.conduct import Report
from apps.jobs.models import JobState
from apps.models import landing
from apps.models.errors import InvalidName, NameTaken, WorkFailed
from apps.models.models import Adapter, LocalModel
from apps.models.runtime.work.events import Figures, Measured
from apps.models.runtime.work.orders import FuseOrder, Order, Quantization
from apps.models.work import making
from apps.models.work.models import ModelJob
from apps.models.work.services import order_conversion, order_fusion
from apps.models.work.tests.conftest import carried_out

pytestmark = pytest.mark.django_db(transaction=True)

FIGURES = Figures(
    before=Measured(size_bytes=100, bits_per_weight=16, perplexity=5.0, tokens_per_second=10.0),
    after=Measured(size_bytes=25, bits_per_weight=4, perplexity=6.0, tokens_per_second=20.0),
)

Process = Callable[[Order, Report], Figures]


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """What the process was told; it answers with a copy of the source."""
    told: list[Order] = []

    def copy(order: Order, report: Report) -> Figures:
        told.append(order)
        report("copying", 0.5)
        shutil.copytree(order.source, order.destination)
        return FIGURES

    monkeypatch.setattr(making, "carry_out", copy)
    return told


def conversion(model: LocalModel, slug: str = "small") -> ModelJob:
    return order_conversion(model=model, slug=slug, name="Small", quantization=Quantization(bits=4))


def test_a_conversion_ends_as_a_model_of_the_hubs_own(
    model: LocalModel, orders: list[Order], models_dir: Path
) -> None:
    job = carried_out(conversion(model))

    assert job.state == JobState.DONE, job.error
    made = job.result
    assert made is not None
    assert (made.slug, made.name, made.source) == ("small", "Small", LocalModel.Source.CONVERTED)
    assert (made.derived_from, made.derivation) == (model, "4-bit, groups of 64")
    assert Path(made.path) == models_dir / "small"
    assert Figures.model_validate(job.figures) == FIGURES
    assert str(orders[0].source) == model.path


def test_a_fusion_remembers_base_and_adapter(
    model: LocalModel, orders: list[Order], tmp_path: Path
) -> None:
    adapter = Adapter.objects.create(
        base=model, slug="poet", name="Poet", path=str(tmp_path / "poet"), digest="d"
    )

    job = carried_out(order_fusion(adapter=adapter, slug="fused", name="Fused", dequantize=True))

    assert job.result is not None
    assert job.result.derived_from == model
    assert job.result.derived_adapter == adapter
    assert job.result.derivation == "fused with Poet"
    (order,) = orders
    assert isinstance(order, FuseOrder)
    assert order.dequantize
    assert order.adapter == tmp_path / "poet"


def test_a_failed_process_leaves_its_message_and_no_model(
    model: LocalModel, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(order: Order, report: Report) -> Figures:
        raise WorkFailed("No matrix fits. Choose a smaller group size.")

    monkeypatch.setattr(making, "carry_out", fail)

    job = carried_out(conversion(model))

    assert (job.state, job.error) == (
        JobState.FAILED,
        "No matrix fits. Choose a smaller group size.",
    )
    assert not LocalModel.objects.filter(slug="small").exists()
    assert not (models_dir / "small").exists()


def test_a_result_that_can_not_be_registered_leaves_no_folder(
    model: LocalModel, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(order: Order, report: Report) -> Figures:
        shutil.copytree(order.source, order.destination)
        (order.destination / "config.json").write_text("{")
        return FIGURES

    monkeypatch.setattr(making, "carry_out", damaged)

    job = carried_out(conversion(model))

    assert job.state == JobState.FAILED
    assert not landing.waiting("small").exists()
    assert not (models_dir / "small").exists()


def test_a_job_that_is_stopped_leaves_nothing(
    model: LocalModel, orders: list[Order], models_dir: Path
) -> None:
    stops = threading.Event()
    stops.set()

    job = carried_out(conversion(model), stops=stops, stopped_as=JobState.CANCELLED)

    assert job.state == JobState.CANCELLED
    assert not (models_dir / "small").exists()
    assert not landing.waiting("small").exists()


def test_a_model_that_was_deleted_meanwhile_is_told(model: LocalModel, orders: list[Order]) -> None:
    job = conversion(model)
    model.delete()
    job.refresh_from_db()

    job = carried_out(job)

    assert job.state == JobState.FAILED
    assert "Original was deleted" in job.error


def test_a_taken_or_malformed_name_is_refused_when_it_is_ordered(model: LocalModel) -> None:
    with pytest.raises(NameTaken):
        conversion(model, slug="original")
    with pytest.raises(InvalidName):
        conversion(model, slug="Not A Slug")
    with pytest.raises(InvalidName, match="address of the hub's own"):
        conversion(model, slug="disk")
    assert not ModelJob.objects.exists()


def test_a_name_that_was_taken_meanwhile_fails_the_job(
    model: LocalModel, orders: list[Order]
) -> None:
    first, second = conversion(model), conversion(model)

    assert carried_out(first).state == JobState.DONE
    assert carried_out(second).state == JobState.FAILED
    assert len(orders) == 1
