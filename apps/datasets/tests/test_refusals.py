"""After a refusal everything that was typed is still there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.datasets import services
from apps.datasets.forms import PASTED_CHARACTERS
from apps.datasets.models import Dataset, DatasetJob
from apps.datasets.tests.conftest import Import, carried_out

PAIRS = [{"prompt": f"What is {i} and {i}?", "completion": f"It is {2 * i}."} for i in range(20)]


def latest() -> DatasetJob:
    return DatasetJob.objects.order_by("-pk")[0]


def pasted(client: Client, text: str, suffix: str = ".jsonl", **more: str) -> Any:
    form = {"text": text, "format": suffix, "paste_name": "My rows"} | more
    return client.post("/data/import/paste/", form)


@pytest.mark.parametrize(
    ("text", "suffix", "why"),
    [
        ("name,age\nAda,36\n", ".jsonl", "No row can be read: line 1, not valid JSON"),
        ('[{"text": "Half', ".json", "No row can be read: not valid JSON (Element 1"),
        ('{"text": "One."}\n{"text": \n', ".jsonl", "Not all of it can be read: line 2"),
        ('"words"\n1\n', ".jsonl", "There are 2 such places"),
        ("a,b\n1,2,3\n", ".csv", "3 fields for 2 columns"),
        ("  \n \n", ".txt", "There is no row in it"),
        (" \n", ".csv", "The table is empty"),
    ],
)
def test_a_paste_that_cannot_be_read_comes_back_with_its_text(
    client: Client, db: None, settings: Any, text: str, suffix: str, why: str
) -> None:
    answer = pasted(client, text, suffix)
    form = answer.context["paste_form"]
    assert why in form.errors["text"][0]
    assert (form["text"].value(), form["paste_name"].value()) == (text, "My rows")
    assert form["format"].value() == suffix
    assert not Dataset.objects.exists()
    assert list(Path(settings.HUB.uploads_dir).iterdir()) == [], "no file of it stays"


def test_a_paste_is_imported_without_what_cannot_be_read_where_somebody_says_so(
    client: Client, db: None
) -> None:
    answer = pasted(client, '{"text": "One."}\n{"text": \n', leave_out="on")
    assert answer.headers["location"] == "/data/my-rows/"
    assert carried_out(latest()).error == ""
    assert Dataset.objects.get().version(None).rows == 1


def test_a_paste_that_is_too_long_is_not_cut(client: Client, db: None) -> None:
    page = client.get("/data/import/").content.decode()
    assert "maxlength" not in page.partition('name="text"')[2].partition(">")[0]
    form = pasted(client, "x" * (PASTED_CHARACTERS + 1), ".txt").context["paste_form"]
    assert "5000001" in form.errors["text"][0]
    assert len(form["text"].value()) == PASTED_CHARACTERS + 1


@pytest.mark.parametrize(
    ("kind", "typed", "field"),
    [
        ("split", {"valid": "90", "test": "5", "seed": "7", "group_by": "topic"}, "valid"),
        ("sample", {"rows": "-5", "seed": "7"}, "rows"),
        ("drop", {"where": "prompt is short"}, "where"),
        ("merge", {"other": "nowhere"}, "other"),
    ],
)
def test_a_change_that_is_refused_leaves_its_form_as_it_was(
    client: Client, imported: Import, kind: str, typed: dict[str, str], field: str
) -> None:
    imported(PAIRS)
    answer = client.post(f"/data/rows/change/{kind}/?v=2", typed, follow=True)
    form = answer.context["where_form" if kind == "drop" else f"{kind}_form"]
    assert {name: form[name].value() for name in typed} == typed
    assert field in form.errors
    assert form.fields[field].widget.attrs["autofocus"]
    assert list(answer.context["messages"]) == [], "it stands beside its field, and once"
    others = {"where_form", "split_form", "sample_form", "merge_form"}
    assert sum(answer.context[name].is_bound for name in others) == 1


def test_a_count_of_tokens_that_is_refused_leaves_its_limit(
    client: Client, imported: Import
) -> None:
    imported(PAIRS)
    answer = client.post("/data/rows/change/tokens/?v=2", {"limit": "3"}, follow=True)
    form = answer.context["tokens_form"]
    assert form["limit"].value() == "3"
    assert form.errors["limit"]


def test_the_pages_behind_a_refusal_are_without_it(client: Client, imported: Import) -> None:
    imported([{"text": f"Text {number}."} for number in range(60)])
    page = client.get("/data/rows/?v=2&refused=split&valid=90&seed=0&test=0&split=train")
    assert "?v=2&amp;split=train&amp;page=2" in page.content.decode()


@pytest.fixture
def busy(imported: Import) -> Dataset:
    """A dataset with a job at work on it."""
    dataset = imported(PAIRS)
    services.order(version=dataset.version(2), kind="drop", plan={"rows": [0]})
    return dataset


@pytest.mark.usefixtures("busy")
def test_a_change_while_another_one_runs_leaves_its_form_as_it_was(client: Client) -> None:
    typed = {"valid": "25", "test": "5", "seed": "7"}
    answer = client.post("/data/rows/change/split/?v=2", typed, follow=True)
    assert "A job is at work" in str(next(iter(answer.context["messages"])))
    assert {name: answer.context["split_form"][name].value() for name in typed} == typed


@pytest.mark.parametrize("kind", ["drop", "mask"])
def test_rows_that_were_ticked_stay_ticked_where_they_were(
    client: Client, imported: Import, kind: str
) -> None:
    dataset = imported([{"text": f"Text {number}."} for number in range(60)])
    services.order(version=dataset.version(2), kind="drop", plan={"rows": [0]})
    form = {"row": ["51", "53"], "place": "split=train&page=2&more=x"}
    answer = client.post(f"/data/rows/change/{kind}/?v=2", form, follow=True)
    page = answer.content.decode()
    assert re.findall(r'value="(\d+)" form="selected"[^>]* checked', page) == ["51", "53"]
    assert "Page 2 of 2" in page
    assert "more=x" not in answer.redirect_chain[-1][0]


def test_kinds_that_were_ticked_stay_ticked(client: Client, imported: Import) -> None:
    dataset = imported([*PAIRS, {"prompt": "", "completion": "Lost."}])
    services.order(version=dataset.version(2), kind="drop", plan={"rows": [0]})
    answer = client.post("/data/rows/change/drop/?v=2", {"problem": "EMPTY"}, follow=True)
    assert 'name="problem" value="EMPTY" checked' in answer.content.decode()


@pytest.mark.usefixtures("busy")
def test_a_row_that_was_edited_while_a_job_runs_stays_in_its_box(client: Client) -> None:
    row = '{"prompt": "Long work.", "completion": "Not lost."}'
    answer = client.post("/data/rows/rows/3/?v=2", {"row": row})
    assert "A job is at work" in answer.content.decode()
    assert answer.context["form"]["row"].value() == row


@pytest.mark.usefixtures("busy")
def test_a_mapping_that_was_made_while_a_job_runs_stays(client: Client) -> None:
    form = {"target": "text", "column-0": "text", "where": "prompt ~ 3"}
    answer = client.post("/data/rows/map/", form)
    assert "A job is at work" in answer.context["refused"]
    page = answer.context["page"]
    assert (page.target, page.columns[0].role) == ("text", "text")
    assert page.conditions[0].text == "prompt ~ 3"


def test_what_the_worker_refuses_is_in_the_form_again(client: Client, imported: Import) -> None:
    imported(PAIRS)
    typed = {"valid": "25", "test": "5", "seed": "7", "group_by": "tpic"}
    client.post("/data/rows/change/split/?v=2", typed)
    assert "No row has a field 'tpic'" in carried_out(latest()).error
    form = client.get("/data/rows/").context["split_form"]
    assert {name: str(form[name].value()) for name in typed} == typed
    client.post("/data/rows/change/drop/?v=2", {"where": "prompt = nothing"})
    assert "No row is like that" in carried_out(latest()).error
    assert client.get("/data/rows/").context["where_form"]["where"].value() == "prompt = nothing"


def test_a_mapping_that_made_no_row_is_there_again(client: Client, imported: Import) -> None:
    imported("frage,antwort,thema\nWas?,Das.,x\n", "faq.csv")
    form = {"target": "chat", "column-0": "user", "column-1": "assistant", "column-2": "keep"}
    client.post("/data/faq/map/", form | {"where": "thema = y"})
    assert "No row is left" in carried_out(latest()).error
    page = client.get("/data/faq/map/").context["page"]
    assert [column.role for column in page.columns] == ["user", "assistant", "keep"]
    assert page.conditions[0].text == "thema = y"


def test_a_path_that_is_refused_stays_in_its_box(client: Client, db: None) -> None:
    form = client.post("/data/import/start/", {"path": "/nowhere/x", "name": "Mine"}).context[
        "form"
    ]
    assert (form["path"].value(), form["name"].value()) == ("/nowhere/x", "Mine")
    assert form.fields["path"].widget.attrs["autofocus"]


def test_a_row_that_is_no_json_stays_in_its_box(client: Client, imported: Import) -> None:
    imported(PAIRS)
    answer = client.post("/data/rows/rows/3/", {"row": json.dumps([1])})
    assert answer.context["form"]["row"].value() == "[1]"


def test_a_failure_goes_from_the_page_once_the_same_was_done(
    client: Client, imported: Import
) -> None:
    imported(PAIRS)
    typed = {"valid": "25", "test": "5", "seed": "7"}
    client.post("/data/rows/change/split/?v=2", typed | {"group_by": "tpic"})
    carried_out(latest())
    assert [job.kind for job in client.get("/data/rows/").context["over"]] == ["split"]
    client.post("/data/rows/change/split/?v=2", typed)
    carried_out(latest())
    assert client.get("/data/rows/").context["over"] == []
