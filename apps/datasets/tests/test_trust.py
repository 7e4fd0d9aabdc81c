"""What helps to trust a dataset: conditions, selections, languages, who changed what, undo."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.datasets import services
from apps.datasets.formats.checks import Problem
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion
from apps.datasets.tests.conftest import Import, carried_out
from apps.jobs.models import JobState
from tests.registry import make_model

PAIRS = [
    {"prompt": f"Question {number}?", "completion": f"Answer {number}.", "score": number}
    for number in range(10)
]
SPOKEN = [
    {"prompt": "Say it.", "completion": "The children went down to the river in the morning."},
    {"prompt": "Say it.", "completion": "Die Kinder gingen am Morgen hinunter zum Fluss."},
    {"prompt": "Say it.", "completion": "Les enfants sont descendus à la rivière ce matin."},
    {"prompt": "Say it.", "completion": "42"},
]
HTMX = {"HX-Request": "true"}


def latest() -> DatasetJob:
    return DatasetJob.objects.order_by("-pk")[0]


def edited(dataset: Dataset, kind: str, **plan: Any) -> DatasetVersion:
    dataset.refresh_from_db()
    assert dataset.head is not None
    job = carried_out(services.order(version=dataset.head, kind=kind, plan=plan))
    assert job.error == ""
    assert job.result is not None
    return job.result


def test_a_mapping_takes_the_records_that_meet_its_conditions(imported: Import) -> None:
    dataset = imported(PAIRS)
    mapping = {
        "target": "completion",
        "roles": {"prompt": "{prompt}", "completion": "{completion}"},
        "where": [["score", ">=", "7"], ["prompt", "!~", "9"]],
    }
    job = services.order(version=dataset.version(1), kind="map", plan={"mapping": mapping})
    version = carried_out(job).result
    assert version is not None
    assert [row["completion"] for row in version.files.values()] == ["Answer 7.", "Answer 8."]
    assert version.change == "Mapped to completion, where score >= 7 and prompt !~ 9"


def test_the_page_counts_the_records_that_a_condition_takes(
    client: Client, imported: Import
) -> None:
    imported(PAIRS)
    form = {
        "target": "completion",
        "column-0": "prompt",
        "column-1": "completion",
        "where": ["score >= 7", ""],
    }
    page = client.get("/data/rows/map/", form, headers=HTMX).content.decode()
    assert "3 of 10 records make rows" in page
    assert "Answer 7." in page
    assert "Answer 0." not in page.partition("Preview")[2]
    wrong = client.get("/data/rows/map/", form | {"where": ["score"]}, headers=HTMX)
    assert "is no condition" in wrong.content.decode()
    client.post("/data/rows/map/", form)
    assert carried_out(latest()).error == ""
    assert Dataset.objects.get().version(None).rows == 3


def test_rows_are_removed_by_a_condition(imported: Import) -> None:
    dataset = imported([{"text": f"Text {number}."} for number in range(5)])
    version = edited(dataset, "drop", where=[["text", "~", "3"]])
    assert version.rows == 4
    assert version.change == "Removed 1 row: text ~ 3"


def test_selected_rows_are_removed_and_that_is_undone(client: Client, imported: Import) -> None:
    dataset = imported(PAIRS)
    page = client.get("/data/rows/").content.decode()
    assert 'name="row" value="9"' in page
    client.post("/data/rows/change/drop/", {"row": ["1", "3"]})
    assert carried_out(latest()).error == ""
    page = client.get("/data/rows/").content.decode()
    assert "Removed 2 rows." in page
    answer = client.post("/data/rows/versions/2/restore/?to=rows")
    assert answer.headers["location"] == "/data/rows/"
    dataset.refresh_from_db()
    assert dataset.head == dataset.version(2)


def test_personal_data_is_masked_in_the_selected_rows_alone(
    client: Client, imported: Import
) -> None:
    imported([{"text": "Write to a@example.org."}, {"text": "Write to b@example.org."}])
    client.post("/data/rows/change/mask/", {"row": ["1"]})
    version = carried_out(latest()).result
    assert version is not None
    assert [row["text"] for row in version.files.values()] == [
        "Write to a@example.org.",
        "Write to [EMAIL].",
    ]


@pytest.mark.parametrize("form", [{}, {"row": "x"}, {"row": "99"}, {"language": "../x"}])
def test_a_selection_of_nothing_is_told(
    client: Client, imported: Import, form: dict[str, str]
) -> None:
    imported(PAIRS)
    before = DatasetJob.objects.count()
    page = client.post("/data/rows/change/drop/", form, follow=True).content.decode()
    assert "Choose at least one kind" in page or "Select a valid choice" in page
    assert DatasetJob.objects.count() == before


def test_languages_are_told_filtered_and_removed(client: Client, imported: Import) -> None:
    dataset = imported(SPOKEN)
    client.post("/data/rows/change/languages/")
    job = carried_out(latest())
    assert job.figures["languages"] == {"de": 1, "en": 1, "fr": 1, "und": 1}
    page = client.get("/data/rows/?language=de").content.decode()
    assert "1 row</p>" in page
    assert "Die Kinder" in page
    assert "Can&#x27;t be told" in page
    version = edited(dataset, "drop", languages=["de", "und"])
    assert version.change == "Removed 2 rows: de, und"
    # What was found out of the rows that stay is still known.
    assert version.files.languages() == {"en": 1, "fr": 1}


def test_rows_that_are_longer_than_the_cut_are_shown_and_removed(
    imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Words:
        def process(self, row: dict[str, Any], *, mask_prompt: bool) -> tuple[list[int], int]:
            return [0] * len(row["text"].split()), 0

    monkeypatch.setattr("apps.datasets.examining.load_tokenizer", lambda folder: Words())
    dataset = imported([{"text": "word " * number} for number in range(1, 6)])
    assert dataset.head is not None
    plan = {"model": make_model("words").pk, "limit": 3}
    counted = carried_out(services.order(version=dataset.head, kind="tokens", plan=plan))
    assert counted.figures["truncated"] == 2
    version = edited(dataset, "drop", longer_than=3)
    assert version.rows == 3
    assert version.change == "Removed 2 rows: longer than 3 tokens"


def test_what_was_never_counted_removes_nothing(imported: Import) -> None:
    dataset = imported(SPOKEN)
    assert dataset.head is not None
    for plan in ({"longer_than": 1}, {"languages": ["de"]}):
        job = carried_out(services.order(version=dataset.head, kind="drop", plan=plan))
        assert job.state == JobState.FAILED
        assert "No row is like that" in job.error


def test_a_version_bears_the_name_of_who_signed_in(
    client: Client, imported: Import, django_user_model: Any
) -> None:
    imported(PAIRS)
    client.force_login(django_user_model.objects.create_user("ada"))
    client.post("/data/rows/change/drop/", {"row": "0"})
    version = carried_out(latest()).result
    assert version is not None
    assert version.author == "ada"
    assert "ada, <time" in client.get("/data/rows/versions/").content.decode()


def test_a_change_is_shown_word_by_word(client: Client, imported: Import) -> None:
    dataset = imported(PAIRS)
    new = PAIRS[4] | {"completion": "Answer four."}
    edited(dataset, "edit", changed={"4": new}, added=[{"prompt": "New?", "completion": "Yes."}])
    page = client.get("/data/rows/versions/3/changes/").content.decode()
    assert "Changed 1" in page
    assert "Added 1" in page
    assert 'Answer <del class="data-gone">4</del><ins class="data-come">four</ins>.' in page
    page = client.get("/data/rows/versions/3/changes/?show=added").content.decode()
    assert '<ins class="data-come">New?</ins>' in page
    # Back from there to here is the same the other way round.
    page = client.get("/data/rows/versions/2/changes/?from=3").content.decode()
    assert "Removed 1" in page
    assert client.get("/data/rows/versions/2/changes/?from=9").status_code == 404
    assert client.get("/data/rows/versions/1/changes/").status_code == 404


def test_a_job_whose_process_was_killed_after_its_version_landed_makes_no_other(
    imported: Import,
) -> None:
    dataset = imported([*PAIRS, PAIRS[0]])
    version = edited(dataset, "drop", problems=int(Problem.DUPLICATE))
    job = latest()
    job.row.update(state=JobState.QUEUED)
    job.refresh_from_db()
    assert carried_out(job).state == JobState.DONE
    assert job.result == version
    assert dataset.versions.count() == 3


def test_an_import_that_was_killed_goes_on_from_the_columns_that_it_had_landed(
    imported: Import,
) -> None:
    dataset = imported(PAIRS)
    job = latest()
    dataset.version(2).delete()
    job.row.update(state=JobState.QUEUED, result=dataset.version(1))
    job.refresh_from_db()
    assert carried_out(job).state == JobState.DONE
    assert [version.kind for version in dataset.versions.all()] == ["completion", "unmapped"]


def test_a_condition_that_compares_nothing_fails_the_job(imported: Import) -> None:
    dataset = imported(PAIRS)
    assert dataset.head is not None
    plan = {"where": [["a", "is", "b"]]}
    job = carried_out(services.order(version=dataset.head, kind="drop", plan=plan))
    assert job.state == JobState.FAILED
    assert "compares nothing" in job.error


def test_a_page_that_a_job_made_old_while_it_was_made_looks_again(
    client: Client, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = imported(PAIRS)
    assert dataset.head is not None
    job = services.order(version=dataset.head, kind="drop", plan={"rows": [0]})
    monkeypatch.setattr("apps.datasets.views.dataset_of", lambda slug: dataset)
    carried_out(job)
    assert 'hx-get="/data/rows/jobs/"' in client.get("/data/rows/").content.decode()
    assert client.get("/data/rows/jobs/", headers=HTMX).headers["HX-Refresh"] == "true"
