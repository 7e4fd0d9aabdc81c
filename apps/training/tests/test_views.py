"""The Training pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from apps.inference import residency
from apps.models.models import Adapter, LocalModel
from apps.training.models import Metric, Sample, TrainingJob
from apps.training.tests.jobs import make_job
from apps.training.tests.test_series import write
from apps.training.trainer.tests.runs import write_rows

pytestmark = pytest.mark.django_db

HOME = reverse("training:home")
NEW = reverse("training:new")
HTMX = {"HX-Request": "true"}


def at(name: str, job: TrainingJob) -> str:
    return reverse(f"training:{name}", args=[job.pk])


def text_of(response: Any) -> str:
    return response.content.decode()


class TestHome:
    def test_says_what_training_is_where_there_was_none(self, client: Client) -> None:
        assert "No model was trained yet." in text_of(client.get(HOME))

    def test_lists_jobs_with_state_loss_and_progress(
        self, client: Client, tiny: LocalModel
    ) -> None:
        job = make_job(tiny, state="running", step=40)
        write(job, {10: 3.0, 20: 2.125})
        page = text_of(client.get(HOME))
        assert "Numbers" in page
        assert "2.125" in page
        assert "40 of 400" in page

    def test_asks_no_more_for_more_jobs(
        self, client: Client, tiny: LocalModel, django_assert_max_num_queries: Any
    ) -> None:
        for _ in range(10):
            make_job(tiny)
        with django_assert_max_num_queries(14):
            client.get(HOME)

    def test_gives_htmx_the_table_alone(self, client: Client, tiny: LocalModel) -> None:
        make_job(tiny)
        page = text_of(client.get(HOME, headers=HTMX))
        assert "Numbers" in page
        assert "<html" not in page


class TestNew:
    def body(self, place: Path, **changes: str) -> dict[str, str]:
        return {
            "model": "base",
            "folder": str(place),
            "name": "Numbers",
            "action": "order",
        } | changes

    def test_orders_a_job(
        self, client: Client, base: LocalModel, data: Path, queued: list[int]
    ) -> None:
        changes = {"iters": "40", "lora__rank": "4", "optimizer": "adamw", "mask_prompt": "on"}
        changes |= {"optimizer_options": "weight_decay: 0.01, eps: 1e-8", "prompts": "A?\n\nB?"}
        response = client.post(NEW, self.body(data, **changes))
        job = TrainingJob.objects.get()
        assert (response.status_code, response["Location"]) == (302, at("detail", job))
        assert queued == [job.pk]
        assert (job.steps, job.config.lora.rank, job.config.mask_prompt) == (40, 4, True)
        assert job.config.optimizer_options == {"weight_decay": 0.01, "eps": 1e-8}
        assert job.config.prompts == ("A?", "B?")

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"folder": "/nowhere"}, "no train.jsonl"),
            ({"name": ""}, "This field is required"),
            ({"iters": "many"}, "iters"),
            ({"learning_rate": "nan"}, "learning_rate"),
            ({"num_layers": "9"}, "has 2 layers"),
            ({"optimizer_options": "]"}, "no YAML"),
            ({"model": "gone"}, "Select a valid choice"),
        ],
    )
    def test_comes_back_with_what_is_wrong(
        self, client: Client, base: LocalModel, data: Path, changes: dict[str, str], told: str
    ) -> None:
        response = client.post(NEW, self.body(data, **changes))
        assert response.status_code == 422
        assert told in text_of(response)
        assert not TrainingJob.objects.exists()

    def test_says_beside_the_field_what_its_value_may_be(
        self, client: Client, base: LocalModel, data: Path
    ) -> None:
        changes = {"learning_rate": "7", "lora__rank": "0"}
        response = client.post(NEW, self.body(data, **changes))
        errors = response.context["form"].errors
        assert set(errors) == {"learning_rate", "lora__rank"}
        assert errors["learning_rate"] == ["Input should be less than or equal to 1."]
        examined = client.post(NEW, self.body(data, action="examine", **changes), headers=HTMX)
        assert "Learning rate: Input should be less" in text_of(examined)

    def test_leads_to_data_where_there_is_none(self, client: Client, base: LocalModel) -> None:
        assert "There is no dataset yet." in text_of(client.get(NEW))

    def test_is_examined_before_it_has_a_name(
        self, client: Client, base: LocalModel, data: Path
    ) -> None:
        body = self.body(data, name="", action="examine", max_seq_length="16")
        page = text_of(client.post(NEW, body, headers=HTMX))
        assert "longer than 16 tokens" in page
        assert "fine_tune_type: lora" in page
        assert "<html" not in page

    def test_tells_what_can_not_be_examined(
        self, client: Client, base: LocalModel, data: Path
    ) -> None:
        (data / "train.jsonl").write_text("no JSON\n")
        page = text_of(client.post(NEW, self.body(data, action="examine"), headers=HTMX))
        assert "Line 1 of train.jsonl is no JSON" in page

    def test_takes_safer_settings(self, client: Client, base: LocalModel, data: Path) -> None:
        page = text_of(client.post(NEW, self.body(data, action="safer", num_layers="9")))
        assert 'value="-1"' in page
        assert "It would not work" not in page

    def test_takes_safer_settings_that_are_empty(
        self, client: Client, base: LocalModel, data: Path
    ) -> None:
        (data / "valid.jsonl").unlink()
        body = self.body(data, action="safer", patience="2", keep_best="on", lora__keys="wings")
        page = text_of(client.post(NEW, body))
        assert 'name="patience" value' not in page
        assert "wings" not in page
        assert "It would not work" not in page

    def test_unloads_models_and_goes_on(
        self,
        client: Client,
        base: LocalModel,
        data: Path,
        queued: list[int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        unloaded: list[LocalModel] = []
        monkeypatch.setattr(residency, "unload", lambda *, model: unloaded.append(model))
        response = client.post(reverse("training:unload"), self.body(data, unload="base"))
        assert unloaded == [base]
        assert response["Location"] == at("detail", TrainingJob.objects.get())

    def test_takes_settings_from_yaml(self, client: Client, base: LocalModel, data: Path) -> None:
        yaml = "lora_parameters: {rank: 3, keys: [self_attn.q_proj]}\ngrad_checkpoint: true\n"
        page = text_of(client.post(NEW, self.body(data, action="import", config=yaml)))
        assert 'name="lora__rank" value="3"' in page
        assert 'value="self_attn.q_proj"' in page
        assert '<option value="true" selected>on</option>' in page

    def test_refuses_yaml_that_is_none(self, client: Client, base: LocalModel, data: Path) -> None:
        response = client.post(NEW, self.body(data, action="import", config="a: ["))
        assert response.status_code == 422
        assert "no YAML" in text_of(response)

    def test_begins_as_the_job_that_is_cloned(self, client: Client, base: LocalModel) -> None:
        job = make_job(base, slug="numbers")
        page = text_of(client.get(NEW, {"clone": job.pk}))
        assert 'value="Numbers 2"' in page
        assert 'name="iters" value="400"' in page
        assert "Number 3?</textarea>" in page

    def test_sends_whoever_has_no_model_to_find_one(self, client: Client) -> None:
        assert "There is no model to train yet." in text_of(client.get(NEW))


class TestJob:
    def test_shows_figures_answers_and_rows(
        self, client: Client, tiny: LocalModel, data: Path
    ) -> None:
        rows = {"step": 20, "worst_rows": [{"row": 1, "loss": 4.5}], "best_rows": []}
        job = make_job(tiny, state="running", step=20, data=str(data), rows=rows, facts=FACTS)
        write(job, {10: 3.0, 20: 2.5})
        write(job, {20: 2.75}, Metric.Name.VALIDATION)
        write(job, {10: 5.0, 20: 10.0}, Metric.Name.SECONDS)
        Sample.objects.create(job=job, step=20, prompt=0, text="It is <b>3</b>.")
        page = text_of(client.get(at("detail", job)))
        assert "best 2.750 at step 20" in page
        assert "3 min" in page  # 380 steps at half a second
        assert "It is &lt;b&gt;3&lt;/b&gt;." in page
        assert "Number 51?" in page
        assert "Stop and save" in page
        assert "fine_tune_type: lora" in page

    @pytest.mark.parametrize(
        ("rows", "told"), [(0, "none no validation rows"), (8, "none yet not evaluated yet")]
    )
    def test_says_why_there_is_no_validation_loss(
        self, client: Client, tiny: LocalModel, rows: int, told: str
    ) -> None:
        facts = {"rows": 40, "validation_rows": rows, "tokens": 1, "truncated": 0, "dropped": 0}
        job = make_job(tiny, facts=facts | {"trainable": 1, "parameters": 2})
        page = text_of(client.get(at("detail", job)))
        assert told in " ".join(strip_tags(page).split())

    def test_is_polled_while_it_runs_and_not_after(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny)
        assert "data-poll" in text_of(client.get(at("detail", job), headers=HTMX))
        TrainingJob.objects.update(state="done")
        assert "data-poll" not in text_of(client.get(at("detail", job), headers=HTMX))

    def test_keeps_how_the_curves_are_drawn_in_its_address(
        self, client: Client, tiny: LocalModel
    ) -> None:
        job, other = make_job(tiny), make_job(tiny)
        query = {"smoothing": "0.6", "log": "1", "axis": "time", "with": other.pk}
        page = text_of(client.get(at("detail", job), query))
        assert 'value="0.60"' in page
        assert 'name="log" value="1" checked' in page
        assert f'data-chart-url="{at("chart", other)}" checked' in page
        assert 'value="time" selected' in page
        assert client.get(at("detail", job), {"smoothing": "x"}).status_code == 200

    def test_leads_to_what_it_made(self, client: Client, tiny: LocalModel) -> None:
        adapter = Adapter.objects.create(base=tiny, slug="numbers", name="N", path="/p", digest="d")
        job = make_job(tiny, state="done", adapter=adapter)
        assert "?models=tiny,tiny:numbers" in text_of(client.get(at("detail", job)))

    def test_offers_safer_settings_after_a_failure(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny, state="failed", fault="out_of_memory", error="No memory.")
        page = text_of(client.get(at("detail", job)))
        assert "Retry with safer settings" in page
        assert "gradient checkpointing" in page

    def test_lives_on_where_its_base_is_gone(self, client: Client) -> None:
        job = make_job(state="failed", fault="out_of_memory")
        assert "Gone (deleted)" in text_of(client.get(at("detail", job)))
        response = client.post(at("retry", job))
        assert "was deleted" in str(next(iter(get_messages(response.wsgi_request))))

    def test_that_is_unknown_is_not_found(self, client: Client) -> None:
        assert client.get(reverse("training:detail", args=[4711])).status_code == 404


class TestData:
    def test_of_the_chart(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny)
        write(job, {10: 3.0})
        answer = client.get(at("chart", job)).json()
        assert (answer["active"], answer["curves"]["loss"]["mean"]) == (True, [3.0])

    def test_of_the_log(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny)
        assert "nothing yet" in text_of(client.get(at("log", job)))
        job.run.mkdir()
        (job.run / "trainer.log").write_text("<one>\n")
        assert text_of(client.get(at("log", job))) == "<one>\n"
        answer = client.get(at("log", job), {"after": "end"}).json()
        assert answer == {"text": "<one>\n", "next": 6, "active": True}
        assert client.get(at("log", job), {"after": "6"}).json()["text"] == ""

    def test_of_the_settings(self, client: Client, tiny: LocalModel) -> None:
        response = client.get(at("settings", make_job(tiny)))
        assert "attachment" in response["Content-Disposition"]
        assert "lora_parameters:" in text_of(response)


class TestActions:
    def test_stop_resume_and_cancel(
        self, client: Client, tiny: LocalModel, queued: list[int]
    ) -> None:
        job = make_job(tiny)
        assert "Paused" in text_of(client.post(at("stop", job), headers=HTMX))
        assert client.post(at("resume", job))["Location"] == at("detail", job)
        assert client.post(at("cancel", job))["Location"] == at("detail", job)
        job.refresh_from_db()
        assert job.state == "cancelled"

    def test_a_job_is_deleted_once_it_is_over(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny, state="running")
        client.post(at("delete", job))
        assert TrainingJob.objects.exists()
        TrainingJob.objects.update(state="failed")
        job.run.mkdir()
        assert client.post(at("delete", job))["Location"] == HOME
        assert not job.run.exists()

    def test_a_failed_job_is_retried_with_safer_settings(
        self, client: Client, base: LocalModel, data: Path, queued: list[int]
    ) -> None:
        job = make_job(base, state="failed", fault="out_of_memory", data=str(data))
        client.post(at("retry", job))
        again = TrainingJob.objects.first()
        assert again is not None
        assert (again.name, again.config.gradient_checkpointing) == ("Numbers 2", True)

    def test_pause_gives_the_turn_back(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny, state="running")
        assert "Pausing" in text_of(client.post(at("pause", job), headers=HTMX))

    def test_stop_and_save_is_told_from_a_pause(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny, state="running", step=3)
        assert "Stopping" in text_of(client.post(at("stop", job), headers=HTMX))
        TrainingJob.objects.update(state="done", ending="stopped", wish="")
        page = text_of(client.get(at("detail", job)))
        assert "Stopped and saved at step 3 of 400." in page
        assert "stopped" in text_of(client.get(reverse("training:compare"), {"jobs": job.pk}))
        assert "Resume" in page

    def test_keep_what_a_paused_run_had_learnt(self, client: Client, tiny: LocalModel) -> None:
        job = make_job(tiny, state="paused", step=3)
        assert "Keep as an adapter" not in text_of(client.get(at("detail", job)))
        (job.run / "checkpoints" / "0000003").mkdir(parents=True)
        assert "Keep as an adapter" in text_of(client.get(at("detail", job)))
        client.post(at("keep", job))
        job.refresh_from_db()
        assert (job.state, job.finishing) == ("queued", True)

    @pytest.mark.parametrize(
        "name", ["stop", "cancel", "resume", "retry", "delete", "pause", "keep"]
    )
    def test_want_a_post(self, client: Client, tiny: LocalModel, name: str) -> None:
        assert client.get(at(name, make_job(tiny))).status_code == 405


FACTS = {
    "step": 0,
    "parameters": 10_000,
    "trainable": 400,
    "rows": 10,
    "validation_rows": 5,
    "truncated": 0,
    "dropped": 0,
    "tokens": 300,
}


def test_rows_of_any_kind_are_readable(tiny: LocalModel, data: Path) -> None:
    from apps.training.shown import judged_rows

    kinds: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]},
        {"text": "x" * 700},
    ]
    write_rows(data / "valid.jsonl", kinds)
    rows = {"step": 1, "worst_rows": [{"row": n, "loss": 1.0} for n in range(3)], "best_rows": []}
    found = judged_rows(make_job(tiny, data=str(data), rows=rows))["worst_rows"]
    assert found[0].text == "user: Hi\nassistant: Ho"
    assert found[1].text.endswith("…")
    assert "can't be read" in found[2].text
    assert json.dumps(found[0].loss) == "1.0"
