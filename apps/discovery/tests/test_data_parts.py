"""Which files of a dataset are which configuration and split."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.discovery.data.parts import DataPart, converted_parts, matches, parts_of
from apps.discovery.snapshot import RemoteFile


def files(*names: str) -> list[RemoteFile]:
    return [RemoteFile(name, 10, "a" * 40) for name in names]


def shown(parts: tuple[DataPart, ...]) -> dict[str, list[str]]:
    return {f"{p.config}/{p.split}": [file.name for file in p.files] for p in parts}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train.csv", "test.csv"], {"default/train": ["train.csv"], "default/test": ["test.csv"]}),
        (["rows.jsonl"], {"default/train": ["rows.jsonl"]}),
        (["data/validation/a.json"], {"default/validation": ["data/validation/a.json"]}),
        (
            ["data/train_sft-00000-of-00002.parquet"],
            {"default/train_sft": ["data/train_sft-00000-of-00002.parquet"]},
        ),
        (["dev.jsonl.gz"], {"default/validation": ["dev.jsonl.gz"]}),
    ],
)
def test_names_tell_the_splits(names: list[str], expected: dict[str, list[str]]) -> None:
    assert shown(parts_of(files(*names), {})) == expected


def test_only_the_main_kind_of_files_counts_and_no_card_is_a_row() -> None:
    names = ("README.md", "notes.txt", "train.parquet", "extra.csv", "x.parquet", "image.png")
    listed = shown(parts_of(files(*names), {}))
    assert listed == {"default/train": ["train.parquet", "x.parquet"]}
    assert parts_of(files("README.md", "image.png"), {}) == ()


@pytest.mark.parametrize(
    "data_files",
    [
        "b/*.csv",
        ["b/*.csv"],
        [{"split": "train", "path": "b/*.csv"}],
        [{"split": "train", "path": ["b/*.csv"]}],
        {"train": "b/*.csv"},
        {"train": ["b/one.csv"]},
    ],
)
def test_the_card_is_understood_in_all_its_forms(data_files: Any) -> None:
    card = {"configs": [{"config_name": "mine", "data_files": data_files}]}
    assert shown(parts_of(files("a/one.csv", "b/one.csv"), card)) == {"mine/train": ["b/one.csv"]}


def test_a_configuration_may_be_a_folder() -> None:
    card = {"configs": [{"config_name": "en", "data_dir": "en"}]}
    found = shown(parts_of(files("en/train.csv", "en/test.csv", "de/train.csv"), card))
    assert found == {"en/train": ["en/train.csv"], "en/test": ["en/test.csv"]}


def test_names_that_lead_elsewhere_are_left_out() -> None:
    names = ("../../x.jsonl", "/etc/x.jsonl", "a/./x.jsonl", ".hidden/x.jsonl", "a\n/x.jsonl", "")
    assert parts_of(files(*names), {}) == ()


def test_the_hubs_conversion_is_read_by_its_folders() -> None:
    found = converted_parts(
        files("en/train/0000.parquet", "en/train/0001.parquet", "en/partial-test/0000.parquet", "x")
    )
    assert shown(found) == {
        "en/train": ["en/train/0000.parquet", "en/train/0001.parquet"],
        "en/test": ["en/partial-test/0000.parquet"],
    }


@pytest.mark.parametrize(
    ("split", "here"),
    [("train_sft", "train"), ("validation", "valid"), ("test_gen", "test"), ("all", "train")],
)
def test_every_split_has_a_place_here(split: str, here: str) -> None:
    assert DataPart("default", split, ()).split_here == here


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a/b/c.csv", "**/*.csv", True),
        ("c.csv", "**/*.csv", True),
        ("a/b.csv", "*.csv", False),
        ("a/b.csv", "a/**", True),
        ("a/b.csv", "a", False),
        ("data/train-1", "data/train-*", True),
    ],
)
def test_a_star_stays_in_its_folder_and_two_do_not(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


@given(st.text("ab*/[]?!", max_size=40), st.text("ab/.", max_size=60))
def test_no_pattern_takes_long_or_fails(pattern: str, name: str) -> None:
    matches(name, pattern)


def test_a_pattern_made_to_take_long_does_not() -> None:
    matches("a" * 200 + "/" + "a" * 200, "*a" * 90 + "b")
    matches("/".join("a" * 100), "/".join(["**", "a"] * 6) + "/b")


@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["configs", "config_name", "data_files", "split", "path", "data_dir"]
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_no_card_is_too_odd(card: Any) -> None:
    parts_of(files("train.csv"), card if isinstance(card, dict) else {"configs": card})
