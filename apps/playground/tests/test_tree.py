"""Paths, versions and leaves of a conversation that branches."""

from __future__ import annotations

from apps.playground.models import Message
from apps.playground.tree import MessageTree


def message(pk: int, parent: int | None) -> Message:
    return Message(pk=pk, parent_id=parent)


# 1 ─ 2 ─ 3 ─ 4
#     └── 5 ─ 6
# 7
PARENTS = {1: None, 2: 1, 3: 2, 4: 3, 5: 2, 6: 5, 7: None}
TREE = MessageTree(message(pk, parent) for pk, parent in PARENTS.items())


def test_a_path_leads_from_the_first_message_to_the_leaf() -> None:
    assert [one.pk for one in TREE.path(6)] == [1, 2, 5, 6]


def test_no_leaf_means_no_path() -> None:
    assert TREE.path(None) == []
    assert TREE.path(99) == []


def test_versions_of_a_message_share_its_parent() -> None:
    assert [one.pk for one in TREE.siblings(message(5, 2))] == [3, 5]
    assert [one.pk for one in TREE.siblings(message(1, None))] == [1, 7]


def test_the_newest_leaf_is_the_last_version_all_the_way_down() -> None:
    assert TREE.newest_leaf(message(1, None)).pk == 6
    assert TREE.newest_leaf(message(3, 2)).pk == 4


def test_everything_that_hangs_on_a_message_is_below_it() -> None:
    assert {one.pk for one in TREE.below(message(2, 1))} == {3, 4, 5, 6}
    assert TREE.below(message(6, 5)) == []
