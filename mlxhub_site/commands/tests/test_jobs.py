"""`mlx-hub jobs cancel | pause | resume`: jobs of every kind, by the names that the list has."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from pytest_django.fixtures import Settings
from typer.testing import CliRunner, Result

from apps.datasets.models import Dataset, DatasetJob
from apps.discovery.downloads import services as downloads
from apps.discovery.downloads.models import Download
from apps.discovery.publishing.models import Publication
from apps.inference.benchmarks.tests.runs import make_run
from apps.jobs.models import Job, JobState, Wish, this_process
from apps.models.models import LocalModel
from apps.models.work.models import ModelJob
from apps.training.evaluation.models import Evaluation
from apps.training.tests.jobs import make_job
from mlxhub_site.cli import app
from mlxhub_site.commands import following

pytestmark = pytest.mark.django_db(transaction=True)

KINDS: dict[str, Callable[[LocalModel], Job]] = {
    "{}": lambda tiny: make_job(tiny),
    "download-{}": lambda tiny: Download.objects.create(
        repo_id="kim/other", revision="main", commit="c" * 40, slug="other", bytes_total=9
    ),
    "import-{}": lambda tiny: ModelJob.objects.create(
        kind=ModelJob.Kind.IMPORT, subject="Other", plan={}
    ),
    "convert-{}": lambda tiny: ModelJob.objects.create(
        kind=ModelJob.Kind.CONVERT, subject="Tiny", model=tiny, plan={}
    ),
    "export-{}": lambda tiny: ModelJob.objects.create(
        kind=ModelJob.Kind.EXPORT, subject="Tiny", model=tiny, plan={}
    ),
    "data-{}": lambda tiny: DatasetJob.objects.create(
        kind=DatasetJob.Kind.IMPORT, dataset=Dataset.objects.create(slug="words", name="Words")
    ),
    "benchmark-{}": lambda tiny: make_run(),
    "evaluation-{}": lambda tiny: Evaluation.objects.create(plan={"subjects": ["tiny"]}),
    "publication-{}": lambda tiny: Publication.objects.create(
        model=tiny, subject="tiny", repo_id="kim/tiny"
    ),
}
"""One of every kind, by the pattern of its name."""

every_kind = pytest.mark.parametrize("pattern", KINDS)


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is said to be alive, and does nothing."""
    monkeypatch.setattr(following, "has_worker", lambda client: True)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["jobs", *arguments])


def made(pattern: str, tiny: LocalModel, **fields: Any) -> tuple[Job, str]:
    """A job in the given state, and its name."""
    job = KINDS[pattern](tiny)
    job.row.update(**fields)
    return job, pattern.format(job.pk)


@every_kind
def test_the_list_has_the_name_by_which_a_job_is_cancelled(pattern: str, tiny: LocalModel) -> None:
    job, name = made(pattern, tiny, state=JobState.QUEUED)
    listed = json.loads(run("--all", "--json").stdout)
    assert name in [str(each["id"]) for each in listed["jobs"]] + [
        each["job"] for each in listed["others"]
    ]
    result = run("cancel", name)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{name} (")
    assert result.stdout.endswith("): cancelled.\n")
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


@every_kind
def test_one_that_runs_is_told_to_end_and_one_that_is_over_or_gone_is_not(
    pattern: str, tiny: LocalModel
) -> None:
    job, name = made(pattern, tiny, state=JobState.RUNNING, runner=this_process())
    told = json.loads(run("cancel", name, "--json").stdout)["jobs"]
    assert [(each["job"], each["state"]) for each in told] == [(name, "running")]
    job.refresh_from_db()
    assert job.wish == Wish.CANCEL
    assert "is being cancelled" in run("cancel", name).stdout
    job.row.update(state=JobState.DONE)
    over = run("cancel", name)
    assert (over.exit_code, over.stdout) == (5, "")
    assert f"{name} is done: there is nothing to cancel." in over.stderr
    job.delete()
    gone = run("cancel", name)
    assert gone.exit_code == 3
    assert "lists them" in gone.stderr


@pytest.mark.parametrize("name", ["", "-3", "download", "download-", "upload-3", "download-x", "३"])
def test_what_names_no_job_is_wrong_use_and_touches_none(name: str, tiny: LocalModel) -> None:
    job, there = made("import-{}", tiny, state=JobState.QUEUED)
    refused = run("cancel", "--", there, name)
    assert (refused.exit_code, "is no job" in refused.stderr) == (2, True)
    job.refresh_from_db()
    assert job.state == JobState.QUEUED


def test_a_name_of_another_kind_is_told(tiny: LocalModel) -> None:
    job, name = made("import-{}", tiny, state=JobState.QUEUED)
    refused = run("cancel", f"convert-{job.pk}")
    assert (refused.exit_code, f"{name} has that number" in refused.stderr) == (3, True)


def test_one_of_several_that_fails_holds_up_no_other(tiny: LocalModel) -> None:
    _, over = made("benchmark-{}", tiny, state=JobState.DONE)
    job, name = made("import-{}", tiny, state=JobState.QUEUED)
    result = run("cancel", over, "download-4711", name)
    assert result.exit_code == 3
    assert result.stderr.count("Error: ") == 2
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


def test_a_download_is_paused_and_goes_on(
    tiny: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads.tasks, "work_off_downloads", lambda: None)
    _, name = made("download-{}", tiny, state=JobState.QUEUED)
    assert run("pause", name).stdout == f"{name} (kim/other): paused.\n"
    assert "paused: only a job that waits or runs" in run("pause", name).stderr
    assert run("resume", name).stdout == f"{name} (kim/other): queued.\n"
    assert "queued: only a job that stands still goes on" in run("resume", name).stderr


def test_what_has_no_pause_or_no_second_time_says_so(tiny: LocalModel) -> None:
    _, waiting = made("convert-{}", tiny, state=JobState.QUEUED)
    refused = run("pause", waiting)
    assert (refused.exit_code, f"`mlx-hub jobs cancel {waiting}`" in refused.stderr) == (5, True)
    _, ended = made("benchmark-{}", tiny, state=JobState.CANCELLED)
    assert "Order it anew" in run("resume", ended).stderr


def test_a_publication_goes_on(
    tiny: LocalModel, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HUB = settings.HUB.model_copy(update={"hf_token": SecretStr("hf_writer")})
    sent: list[int] = []
    monkeypatch.setattr("apps.discovery.publishing.tasks.run_publication", sent.append)
    job, name = made("publication-{}", tiny, state=JobState.FAILED)
    assert run("resume", name).stdout == f"{name} (kim/tiny): queued.\n"
    assert sent == [job.pk]


def test_without_a_worker_it_is_said_what_starts_one(
    tiny: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlxhub_site.commands.job_control.has_worker", lambda client: False)
    monkeypatch.setattr("apps.training.evaluation.tasks.run_evaluation", lambda key: None)
    _, name = made("evaluation-{}", tiny, state=JobState.INTERRUPTED)
    assert "`mlx-hub up` starts one" in run("resume", name).stderr


def test_the_lists_options_before_a_command_are_refused(tiny: LocalModel) -> None:
    job, name = made("import-{}", tiny, state=JobState.QUEUED)
    refused = run("--url", "http://127.0.0.1:9", "cancel", name)
    assert (refused.exit_code, "Write --url behind" in refused.stderr) == (2, True)
    job.refresh_from_db()
    assert job.state == JobState.QUEUED, "this machine's hub is left alone"
