"""What a model was made from and what was made from it, as a tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from apps.models.models import Adapter, LocalModel

MAX_NODES = 200
"""A family larger than this is cut: nobody reads such a drawing."""

_FIELDS = ("slug", "name", "repo_id", "base_repo_id", "quantization", "derivation", "size_bytes")

Kind = Literal["repository", "model", "adapter"]


@dataclass
class Node:
    """One member of the family, and what was made from it."""

    kind: Kind
    name: str
    slug: str = ""
    """Of a model on this hub; empty for others."""
    note: str = ""
    """How it was made, or what it is."""
    is_shown: bool = False
    """Whether it is the model that the tree was asked for."""
    children: list[Node] = field(default_factory=list)


def family_of(model: LocalModel) -> Node | None:
    """The tree that ``model`` is part of; None where it stands alone."""
    root = _oldest(model)
    tree = _Family(model).grow(root)
    if root.base_repo_id and root.base_repo_id != root.repo_id:
        tree = Node("repository", root.base_repo_id, note="on Hugging Face", children=[tree])
    return tree if tree.children else None


def _oldest(model: LocalModel) -> LocalModel:
    seen = {model.pk}
    while (parent := _parent(model)) is not None and parent.pk not in seen:
        model = parent
        seen.add(model.pk)
    return model


def _parent(model: LocalModel) -> LocalModel | None:
    """The model of this hub that it was made from, here or elsewhere."""
    if model.derived_from_id is not None:
        return model.derived_from
    if not model.base_repo_id:
        return None
    return LocalModel.objects.filter(repo_id=model.base_repo_id).exclude(pk=model.pk).first()


class _Family:
    """Grows the tree level by level: two queries for each, however wide it is."""

    def __init__(self, shown: LocalModel) -> None:
        self.shown = shown
        self.seen: set[int] = set()

    def grow(self, root: LocalModel) -> Node:
        tree = self._node(root)
        level = {root.pk: (root, tree)}
        while level and len(self.seen) < MAX_NODES:
            level = self._next(level)
        return tree

    def _next(
        self, level: dict[int, tuple[LocalModel, Node]]
    ) -> dict[int, tuple[LocalModel, Node]]:
        rows = list(Adapter.objects.filter(base__in=level).order_by("name"))
        adapters = {adapter.pk: _node_of(adapter) for adapter in rows}
        for adapter in rows:
            # A training goes on from adapters of the same base alone.
            parent = adapters.get(adapter.parent_id or 0, level[adapter.base_id][1])
            parent.children.append(adapters[adapter.pk])
        grown = {}
        for child, parent in self._children(level):
            node = self._node(child)
            home = adapters.get(child.derived_adapter_id or 0, parent)
            home.children.append(node)
            grown[child.pk] = (child, node)
        return grown

    def _children(self, level: dict[int, tuple[LocalModel, Node]]) -> list[tuple[LocalModel, Node]]:
        """The models made from those of ``level``, each with its parent's node."""
        by_repo = {one.repo_id: node for one, node in level.values() if one.repo_id}
        rows = LocalModel.objects.only(*_FIELDS, "derived_from_id", "derived_adapter_id")
        found = [
            (child, level[child.derived_from_id][1])
            for child in rows.filter(derived_from__in=level).order_by("name")
            if child.derived_from_id is not None
        ]
        found += [
            (child, by_repo[child.base_repo_id])
            for child in rows.filter(derived_from=None, base_repo_id__in=by_repo).order_by("name")
        ]
        return [(child, node) for child, node in found if child.pk not in self.seen]

    def _node(self, model: LocalModel) -> Node:
        self.seen.add(model.pk)
        note = model.derivation or model.quantization
        return Node("model", model.name, model.slug, note, is_shown=model.pk == self.shown.pk)


def _node_of(adapter: Adapter) -> Node:
    note = f"adapter, rank {adapter.rank}" if adapter.rank else "adapter"
    return Node("adapter", adapter.name, note=note)
