"""A job goes on from a registered adapter of the same shape."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.jobs.models import JobState
from apps.models.consequences import consequences_of
from apps.models.lineage import family_of
from apps.models.models import Adapter, LocalModel
from apps.models.runtime.adapters import CONFIG_FILE
from apps.models.services import register_adapter, register_folder
from apps.training import services
from apps.training.errors import BadOrder
from apps.training.models import TrainingJob
from apps.training.orders import completed, settings_of
from apps.training.preflight import examine
from apps.training.starts import KEPT, weights_of
from apps.training.tests.jobs import SETTINGS, trained
from apps.training.trainer.mlx_lm_yaml import write_yaml

SHORT = SETTINGS | {"iters": 4, "steps_per_eval": 4, "steps_per_report": 2, "steps_per_save": 2}


@pytest.fixture(scope="session")
def shared_adapter(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an adapter with the shape of ``SETTINGS``, over the two blocks of the model."""
    from apps.training.trainer.tests.runs import make_run, train

    run = make_run(
        tmp_path_factory.mktemp("first") / "run", weights, lora=SETTINGS["lora"], iters=2
    )
    train(run)
    return run / "adapter"


@pytest.fixture
def adapter(base: LocalModel, shared_adapter: Path, tmp_path: Path) -> Adapter:
    folder = tmp_path / "first"
    shutil.copytree(shared_adapter, folder)
    return register_adapter(base=base, path=folder, slug="first", name="First")


@pytest.fixture
def dora(adapter: Adapter) -> Adapter:
    """The same, as far as its description goes, by another method."""
    description = Path(adapter.path) / CONFIG_FILE
    description.write_text(description.read_text().replace('"lora"', '"dora"', 1))
    return adapter


def order(base: LocalModel, data: Path, **settings: Any) -> TrainingJob:
    return services.order(base=base, data=data, name="Second", settings=SHORT | settings)


def texts(base: LocalModel, data: Path, **settings: Any) -> str:
    config = services.configured(base=base, data=data, settings=SHORT | settings)
    return " ".join(f"{one.level}: {one.text}" for one in examine(base, config).findings)


def test_what_it_makes_names_its_parent(base: LocalModel, adapter: Adapter, data: Path) -> None:
    job = trained(order(base, data, resume_adapter_file="first"))
    assert job.state == JobState.DONE, job.error
    assert job.start_adapter == adapter
    assert job.adapter is not None
    assert job.adapter.parent == adapter
    assert (job.run / KEPT).read_bytes() == Path(weights_of(adapter)).read_bytes()
    family = family_of(base)
    assert family is not None
    assert [(one.name, [each.name for each in one.children]) for one in family.children] == [
        ("First", ["Second"])
    ]
    told = " ".join(each.text for each in consequences_of(base, adapter))
    assert "What was trained on from it stays, without its lineage: Second." in told


@pytest.mark.parametrize("name", ["first", "base:first", "folder", "file"])
def test_it_is_named_as_calls_do_or_by_its_path(
    base: LocalModel, adapter: Adapter, data: Path, name: str
) -> None:
    given = {"folder": adapter.path, "file": weights_of(adapter)}.get(name, name)
    config = services.configured(
        base=base, data=data, settings=SHORT | {"resume_adapter_file": given}
    )
    assert config.resume_adapter_file == weights_of(adapter)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("second", "'second' is no adapter of this hub to start from. Over Base there is: base:first."),
        ("/etc/passwd", "is no adapter of this hub"),
        ("other:first", "is no adapter of this hub"),
        (7, "7 is no adapter of this hub"),
    ],
)  # fmt: skip
def test_another_name_or_path_is_refused_in_a_line(
    base: LocalModel, adapter: Adapter, data: Path, name: Any, told: str
) -> None:
    with pytest.raises(BadOrder) as refused:
        order(base, data, resume_adapter_file=name)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_adapter_over_another_base_is_refused(
    base: LocalModel, adapter: Adapter, data: Path, weights: Path, tmp_path: Path
) -> None:
    shutil.copytree(weights, tmp_path / "twin")
    twin = register_folder(
        path=tmp_path / "twin", slug="twin", name="Twin", source=LocalModel.Source.FOLDER
    )
    with pytest.raises(
        BadOrder, match=r"base:first is an adapter over Base\. Twin has no adapters"
    ):
        order(twin, data, resume_adapter_file="base:first")


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"method": "dora"}, "its method is lora, and dora is set"),
        ({"lora": {"rank": 5, "scale": 4.0}}, "its rank is 2, and 5 is set"),
        ({"num_layers": 1}, "it changes 2 layers, and 1 are to be trained"),
        ({"lora": {"rank": 2, "scale": 4.0, "keys": ["mlp.up_proj"]}}, "the run has mlp.up_proj"),
    ],
)
def test_what_differs_is_named_with_settings_that_do_not(
    base: LocalModel, adapter: Adapter, data: Path, other: dict[str, Any], told: str
) -> None:
    given = SHORT | {"resume_adapter_file": "first"} | other
    found = examine(base, services.configured(base=base, data=data, settings=given))
    (refusal,) = found.refusals
    assert refusal.text.startswith("It can't go on from base:first: ")
    assert told in refusal.text
    again = services.configured(base=base, data=data, settings=given | found.safer)
    assert examine(base, again).refusals == []


def test_another_scale_is_warned_of(base: LocalModel, adapter: Adapter, data: Path) -> None:
    lora = {"rank": 2, "scale": 5.0}
    told = texts(base, data, lora=lora, resume_adapter_file="first")
    assert "warning: base:first has a scale of 4, and 5 is set" in told


def test_what_is_left_out_is_as_the_adapter_has_it(
    base: LocalModel, adapter: Adapter, data: Path
) -> None:
    settings = {"resume_adapter_file": "first", "lora": {"dropout": 0.1}}
    config = completed(base=base, data=data, settings=settings)
    assert (config.lora.rank, config.lora.scale, config.lora.dropout) == (2, 4.0, 0.1)
    assert config.num_layers == -1
    assert examine(base, config).refusals == []


def test_its_method_is_the_adapters_where_none_is_asked_for(
    base: LocalModel, dora: Adapter, data: Path
) -> None:
    config = completed(base=base, data=data, settings={"resume_adapter_file": "first"})
    assert config.method == "dora"
    assert examine(base, config).refusals == []
    asked = {"resume_adapter_file": "first", "method": "lora"}
    (refusal,) = examine(base, completed(base=base, data=data, settings=asked)).refusals
    assert "its method is dora, and lora is set" in refusal.text


def test_its_yaml_comes_back_the_same(base: LocalModel, adapter: Adapter, data: Path) -> None:
    job = order(base, data, resume_adapter_file="first")
    text = write_yaml(job.config)
    assert f"resume_adapter_file: {weights_of(adapter)}" in text
    assert settings_of(text)["resume_adapter_file"] == weights_of(adapter)


def test_an_adapter_that_a_job_waits_for_is_not_deleted(
    base: LocalModel, adapter: Adapter, data: Path
) -> None:
    job = order(base, data, resume_adapter_file="first")
    (prevents,) = (each.text for each in consequences_of(base, adapter) if each.prevents)
    assert prevents == "The training Second is to go on from it. Cancel that first."
    job.run.mkdir(parents=True)
    (job.run / KEPT).write_bytes(b"")
    assert not any(each.prevents for each in consequences_of(base, adapter))


def test_a_job_goes_on_from_its_own_copy_once_it_has_begun(
    base: LocalModel, adapter: Adapter, data: Path
) -> None:
    job = order(base, data, resume_adapter_file="first", iters=400, steps_per_eval=400)
    trained(job, at_step=(10, lambda: services.pause(job=job)))
    assert job.state == JobState.PAUSED
    shutil.rmtree(adapter.path)
    adapter.delete()
    services.resume(job=job)
    job.refresh_from_db()
    trained(job)
    assert job.state == JobState.DONE, job.error
    assert job.adapter is not None
    assert job.adapter.parent is None


def test_a_job_whose_adapter_is_gone_before_it_began_says_so(
    base: LocalModel, adapter: Adapter, data: Path
) -> None:
    job = order(base, data, resume_adapter_file="first")
    adapter.delete()
    job.refresh_from_db()
    trained(job)
    assert job.state == JobState.FAILED
    assert "The adapter that Second was to start from is deleted." in job.error


class TestOverRest:
    def test_a_job_tells_what_it_goes_on_from(
        self, client: Client, base: LocalModel, adapter: Adapter, data: Path, queued: list[int]
    ) -> None:
        settings = {"resume_adapter_file": "first", "iters": 4}
        body = {"model": "base", "data": str(data), "name": "Second", "settings": settings}
        response = client.post("/api/training/jobs", body, content_type="application/json")
        assert response.status_code == 202, response.content
        assert response.json()["start_adapter"] == "base:first"
        assert response.json()["settings"]["lora"]["rank"] == 2

    def test_a_model_tells_the_parents_of_its_adapters(
        self, client: Client, base: LocalModel, adapter: Adapter
    ) -> None:
        Adapter.objects.create(
            base=base, slug="later", name="Later", path="/b", digest="d", parent=adapter
        )
        found = client.get("/api/models/base").json()["adapters"]
        assert {one["slug"]: one["parent"] for one in found} == {"first": None, "later": "first"}


class TestOnThePages:
    def test_the_form_goes_by_the_adapter_until_something_else_is_chosen(
        self, client: Client, base: LocalModel, dora: Adapter, data: Path
    ) -> None:
        url = reverse("training:new")
        page = client.get(url, {"start": "base:first"}).content.decode()
        assert '<option value="base:first" selected>' in page
        assert '<option value="" selected>LoRA, or as it starts from</option>' in page
        form = {
            "model": "base", "folder": str(data), "resume_adapter_file": "base:first", "method": "",
            "action": "examine",
        }  # fmt: skip
        page = client.post(url, form).content.decode()
        assert "fine_tune_type: dora" in page
        assert "It would not work" not in page
        page = client.post(url, form | {"method": "lora"}).content.decode()
        assert "its method is dora, and lora is set" in page

    def test_the_form_offers_adapters_and_says_where_one_does_not_fit(
        self, client: Client, base: LocalModel, adapter: Adapter, data: Path
    ) -> None:
        form = {
            "model": "base", "folder": str(data), "name": "Second", "method": "lora",
            "resume_adapter_file": "base:first", "lora__rank": "5", "action": "examine",
        }  # fmt: skip
        page = client.post(reverse("training:new"), form).content.decode()
        assert '<option value="base:first" selected>' in page
        assert "its rank is 2, and 5 is set" in page
        safer = client.post(reverse("training:new"), form | {"action": "safer"}).content.decode()
        assert "It would not work" not in safer
        assert f"resume_adapter_file: {weights_of(adapter)}" in safer

    def test_a_path_in_yaml_becomes_the_adapters_name(
        self, client: Client, base: LocalModel, adapter: Adapter, data: Path
    ) -> None:
        form = {"model": "base", "folder": str(data), "action": "import"}
        ours = f"resume_adapter_file: {weights_of(adapter)}\n"
        page = client.post(reverse("training:new"), form | {"config": ours}).content.decode()
        assert '<option value="base:first" selected>' in page
        theirs = "resume_adapter_file: /tmp/adapters.safetensors\n"
        page = client.post(reverse("training:new"), form | {"config": theirs}).content.decode()
        assert "is no adapter of this hub to start from" in page

    def test_a_job_is_shown_and_cloned_with_it(
        self, client: Client, base: LocalModel, adapter: Adapter, data: Path
    ) -> None:
        job = order(base, data, resume_adapter_file="first")
        url = reverse("training:new") + f"?clone={job.pk}"
        assert ">base:first</a>" in client.get(job.get_absolute_url()).content.decode()
        assert '<option value="base:first" selected>' in client.get(url).content.decode()
        adapter.delete()
        assert "an adapter that is deleted" in client.get(job.get_absolute_url()).content.decode()
        assert "selected>base:first" not in client.get(url).content.decode()
