"""Versions: made by jobs, whole or not at all, and never changed."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from apps.datasets import services
from apps.datasets.errors import BadDataOrder, Busy, InUse
from apps.datasets.exporting import export
from apps.datasets.formats.checks import Problem
from apps.datasets.formats.errors import BadMapping
from apps.datasets.formats.personal import EVERY
from apps.datasets.formats.store.reading import Wanted
from apps.datasets.models import Dataset, DatasetJob, DatasetVersion
from apps.datasets.signals import dataset_uses
from apps.datasets.tests.conftest import Import, carried_out
from apps.jobs.models import JobState

PAIRS = [{"prompt": f"What is {i} and {i}?", "completion": f"It is {2 * i}."} for i in range(40)]


def edited(dataset: Dataset, kind: str, **plan: Any) -> DatasetVersion:
    dataset.refresh_from_db()
    assert dataset.head is not None
    job = carried_out(services.order(version=dataset.head, kind=kind, plan=plan))
    assert job.error == ""
    assert job.result is not None
    return job.result


def rows_of(version: DatasetVersion) -> list[dict[str, Any]]:
    return list(version.files.values())


def test_an_import_keeps_the_columns_and_makes_rows_of_what_it_recognises(imported: Import) -> None:
    dataset = imported(PAIRS)
    columns, rows = dataset.version(1), dataset.version(2)
    assert columns.kind == "unmapped"
    assert dataset.head == rows
    assert rows.kind == "completion"
    assert rows_of(rows) == PAIRS


def test_what_is_not_recognised_waits_for_its_mapping(imported: Import) -> None:
    dataset = imported("frage,antwort\nWas?,Das.\nWo?,Da.\n", "faq.csv")
    assert dataset.head is not None
    assert not dataset.head.is_mapped
    mapping = {
        "target": "chat",
        "roles": {"system": "Be brief.", "user": "{frage}", "assistant": "{antwort}"},
    }
    version = edited(dataset, "map", mapping=mapping)
    assert rows_of(version)[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Was?"},
        {"role": "assistant", "content": "Das."},
    ]


def test_a_mapping_to_a_column_that_is_not_there_is_refused_at_once(imported: Import) -> None:
    dataset = imported("a,b\n1,2\n", "table.csv")
    assert dataset.head is not None
    with pytest.raises(BadMapping, match="'c', which is not there"):
        services.order(
            version=dataset.head,
            kind="map",
            plan={"mapping": {"target": "text", "roles": {"text": "{c}"}}},
        )


def test_unreadable_lines_are_counted_and_the_others_are_kept(imported: Import) -> None:
    dataset = imported('{"text": "One."}\n{"text": \n[1]\n{"text": "Two."}\n')
    facts = dataset.version(1).facts
    assert facts["unreadable"] == {"syntax": 1, "not_an_object": 1}
    assert facts["unreadable_samples"]["syntax"][0]["line"] == 2
    assert dataset.version(2).rows == 2


def test_a_file_without_a_row_fails_and_says_why(db: None, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("not json\n")
    job = carried_out(services.order_import(path=tmp_path / "bad.jsonl", name=""))
    assert job.state == JobState.FAILED
    assert "1 not valid JSON" in job.error


def test_a_training_folder_has_the_shape_that_mlx_lm_reads(imported: Import) -> None:
    version = edited(imported(PAIRS), "split", valid=0.1, test=0.0, seed=1)
    folder = services.folder_for_training(version)
    train, valid = (
        [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("train.jsonl", "valid.jsonl")
    )
    assert (len(train), len(valid)) == (36, 4)
    assert sorted(map(str, train + valid)) == sorted(map(str, PAIRS))


def test_the_same_seed_makes_the_same_version_on_the_disk(imported: Import) -> None:
    dataset = imported(PAIRS)
    base = dataset.version(2)
    digests = set()
    for _ in range(2):
        job = carried_out(
            services.order(version=base, kind="split", plan={"valid": 0.2, "test": 0.1, "seed": 7})
        )
        assert job.result is not None
        digests.add(job.result.digest)
    assert len(digests) == 1


def test_equal_rows_stay_in_one_split(imported: Import) -> None:
    version = edited(imported(PAIRS * 3), "split", valid=0.3, test=0.0, seed=0)
    assert len(version.files.numbers(_with(Problem.OVERLAP))) == 0


def test_rows_split_by_group_stay_together(imported: Import) -> None:
    rows = [{"text": f"Sentence {i} of a book.", "book": i % 5} for i in range(50)]
    dataset = imported(rows)
    columns = dataset.version(1)
    mapping = {"target": "text", "roles": {"text": "{text}"}, "keep": ["book"]}
    mapped = carried_out(services.order(version=columns, kind="map", plan={"mapping": mapping}))
    assert mapped.result is not None
    version = edited(dataset, "split", valid=0.2, test=0.0, seed=3, group_by="book")
    files = version.files
    books = {
        split: {row.value["book"] for row in files.page(_of(split), offset=0, limit=100).rows}
        for split in ("train", "valid")
    }
    assert books["valid"]
    assert not books["train"] & books["valid"]


def test_rows_with_a_problem_are_removed_in_bulk(imported: Import) -> None:
    dataset = imported([*PAIRS, PAIRS[0], {"prompt": "", "completion": "x"}])
    assert dataset.head is not None
    with pytest.raises(BadDataOrder, match=r"1 row of .* can't be learnt from"):
        services.folder_for_training(dataset.head)
    version = edited(dataset, "drop", problems=int(Problem.DUPLICATE | Problem.EMPTY))
    assert rows_of(version) == PAIRS
    assert version.change == "Removed 2 rows: empty, duplicate"


def test_personal_data_is_masked_in_a_new_version_and_stays_in_the_old_one(
    imported: Import,
) -> None:
    dataset = imported([{"text": "Write to jo@example.org, or call +49 170 1234567."}])
    version = edited(dataset, "mask", personal=int(EVERY))
    assert rows_of(version) == [{"text": "Write to [EMAIL], or call [PHONE]."}]
    assert "jo@example.org" in rows_of(dataset.version(2))[0]["text"]


def test_near_duplicates_are_found_flagged_and_removed(imported: Import) -> None:
    long = "The quick brown fox jumps over the lazy dog and runs along the river bank. "
    rows = [
        {"text": (long * 4).strip()},
        {"text": long * 4 + "The end."},
        {"text": "Something else entirely."},
    ]
    dataset = imported(rows)
    assert dataset.head is not None
    job = carried_out(services.order(version=dataset.head, kind="near", plan={}))
    assert job.figures["rows"] == 1
    version = edited(dataset, "drop", problems=int(Problem.NEAR_DUPLICATE))
    assert rows_of(version) == [rows[0], rows[2]]


def test_a_row_is_edited_and_another_added(imported: Import) -> None:
    dataset = imported(PAIRS[:3])
    new = {"prompt": "New?", "completion": "Yes."}
    version = edited(dataset, "edit", changed={"1": new}, added=[PAIRS[9]])
    assert rows_of(version) == [PAIRS[0], new, PAIRS[2], PAIRS[9]]


def test_a_sample_is_shuffled_and_leaves_validation_alone(imported: Import) -> None:
    dataset = imported(PAIRS)
    edited(dataset, "split", valid=0.1, test=0.0, seed=1)
    version = edited(dataset, "sample", rows=10, seed=1)
    assert (version.train_rows, version.valid_rows) == (10, 4)


def test_datasets_are_merged(imported: Import) -> None:
    one, other = imported(PAIRS[:2]), imported(PAIRS[2:5], "other.jsonl")
    assert other.head is not None
    version = edited(one, "merge", other=other.head.pk)
    assert rows_of(version) == PAIRS[:5]


def test_an_earlier_version_is_restored(imported: Import) -> None:
    dataset = imported(PAIRS)
    edited(dataset, "drop", rows=[0])
    services.restore(version=dataset.version(2))
    dataset.refresh_from_db()
    assert dataset.head == dataset.version(2)
    assert rows_of(dataset.version(3)) == PAIRS[1:]


def test_two_changes_at_once_are_refused(imported: Import) -> None:
    dataset = imported(PAIRS)
    assert dataset.head is not None
    services.order(version=dataset.head, kind="drop", plan={"rows": [0]})
    with pytest.raises(Busy, match="A job is at work"):
        services.order(version=dataset.head, kind="drop", plan={"rows": [1]})


def test_a_stopped_worker_leaves_the_version_and_the_job_in_the_queue(imported: Import) -> None:
    dataset = imported(PAIRS)
    assert dataset.head is not None
    stops = threading.Event()
    stops.set()
    order = services.order(version=dataset.head, kind="drop", plan={"rows": [0]})
    job = carried_out(order, stops=stops)
    assert job.state == JobState.QUEUED
    assert Dataset.objects.get().head == dataset.head
    assert carried_out(job).state == JobState.DONE


def test_deleting_removes_the_files_that_no_other_dataset_has(imported: Import) -> None:
    one, other = imported(PAIRS), imported(PAIRS, "other.jsonl")
    shared = one.version(2).folder
    alone = edited(one, "drop", rows=[0]).folder
    services.delete_dataset(dataset=one)
    assert not alone.exists()
    assert shared.exists()
    assert rows_of(other.version(2)) == PAIRS


def test_a_dataset_that_something_points_at_is_not_deleted(imported: Import) -> None:
    def training(**kwargs: Any) -> list[str]:
        return ["Training 1 learnt from it."]

    dataset = imported(PAIRS)
    dataset_uses.connect(training)
    try:
        with pytest.raises(InUse, match="Training 1"):
            services.delete_dataset(dataset=dataset)
    finally:
        dataset_uses.disconnect(training)
    assert Dataset.objects.exists()


def test_columns_are_not_for_training(imported: Import) -> None:
    columns = imported(PAIRS).version(1)
    with pytest.raises(BadDataOrder, match="Map its columns first"):
        services.folder_for_training(columns)


def test_preference_pairs_are_for_training(imported: Import) -> None:
    pairs = imported([{"prompt": "a", "chosen": "b", "rejected": "c"}], "pairs.jsonl").version(2)
    file = services.folder_for_training(pairs) / "train.jsonl"
    assert json.loads(file.read_bytes()) == {"prompt": "a", "chosen": "b", "rejected": "c"}


@pytest.mark.parametrize(("descending", "expected"), [(False, [1, 3, 0, 2]), (True, [0, 2, 1, 3])])
def test_sorted_rows_of_one_length_stay_in_their_order(
    imported: Import, descending: bool, expected: list[int]
) -> None:
    files = imported([{"text": text} for text in ("long", "a", "less", "b")]).version(None).files
    found = files.page(Wanted(sort="chars", descending=descending), offset=0, limit=9)
    assert [row.number for row in found.rows] == expected
    assert found.total == 4


def test_a_dataset_that_is_looked_at_is_not_deleted(imported: Import) -> None:
    dataset = imported(PAIRS)
    services.order(version=dataset.version(None), kind="near", plan={})
    with pytest.raises(Busy, match="near duplicates"):
        services.delete_dataset(dataset=dataset)


def test_an_export_goes_to_an_empty_folder_only(imported: Import, tmp_path: Path) -> None:
    version = imported(PAIRS).version(2)
    (path,) = export(version=version, to=tmp_path / "out")
    assert path.read_bytes() == (version.folder / "train.jsonl").read_bytes()
    with pytest.raises(BadDataOrder, match="not empty"):
        export(version=version, to=tmp_path / "out")


def test_an_uploaded_file_goes_once_it_is_imported(db: None, data_dir: Path) -> None:
    from apps.datasets.pasting import keep_pasted

    path = keep_pasted('{"text": "Hello."}\n', ".jsonl")
    job = carried_out(services.order_import(path=path, name="Pasted", uploaded=True))
    assert job.state == JobState.DONE
    assert not path.exists()
    assert DatasetJob.objects.get().dataset.name == "Pasted"


def _with(problem: Problem) -> Any:
    return Wanted(problem=problem)


def _of(split: str) -> Any:
    from apps.datasets.formats.store.reading import Wanted

    return Wanted(split=split)
