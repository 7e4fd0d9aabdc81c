"""What one version changed of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.datasets.formats.diff import pieces_of, row_changes
from apps.datasets.formats.store.reading import RowFiles
from apps.datasets.formats.store.writing import RowWriter


def files_of(folder: Path, texts: list[str]) -> RowFiles:
    folder.mkdir()
    with RowWriter(folder) as writer:
        for text in texts:
            writer.add({"text": text})
        writer.close()
    return RowFiles(folder)


def changes(folder: Path, before: list[str], after: list[str]) -> tuple[Any, Any, Any]:
    found = row_changes(files_of(folder / "before", before), files_of(folder / "after", after))
    return found.changed.tolist(), found.removed.tolist(), found.added.tolist()


def test_a_row_that_was_edited_is_one_changed_row(tmp_path: Path) -> None:
    assert changes(tmp_path, ["a", "b", "c"], ["a", "B", "c"]) == ([[1, 1]], [], [])


def test_rows_that_went_and_came_are_told_with_their_numbers(tmp_path: Path) -> None:
    before, after = ["a", "b", "c", "d", "d"], ["b", "C", "d", "e"]
    assert changes(tmp_path, before, after) == ([[2, 1], [4, 3]], [0], [])


def test_rows_in_another_order_are_the_same(tmp_path: Path) -> None:
    assert changes(tmp_path, ["a", "b", "c"], ["c", "a", "b"]) == ([], [], [])


@settings(max_examples=50)
@given(st.data())
def test_the_numbers_of_rows_add_up(tmp_path_factory: Any, data: st.DataObject) -> None:
    before, after = (
        data.draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=8)) for _ in range(2)
    )
    changed, removed, added = changes(tmp_path_factory.mktemp("diff"), before, after)
    gone = sorted([before[old] for old, _ in changed] + [before[old] for old in removed])
    come = sorted([after[new] for _, new in changed] + [after[new] for new in added])
    rest = list(before)
    for each in gone:
        rest.remove(each)
    assert sorted(rest + come) == sorted(after)
    assert not set(gone) & set(come)


@given(st.text(), st.text())
def test_the_pieces_are_both_texts(before: str, after: str) -> None:
    pieces = list(pieces_of(before, after))
    assert "".join(each.text for each in pieces if each.kind != "added") == before
    assert "".join(each.text for each in pieces if each.kind != "removed") == after
