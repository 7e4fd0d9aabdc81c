"""A radix tree over tokens whose nodes hold the KV of their stretch of tokens.

Contracts
- A node stands for consecutive tokens; the path from the root spells a prompt's
  beginning. Siblings differ in their first token, so a span is held once however
  many prompts share it.
- ``span`` is the node's KV in memory, ``stored`` where it lies on disk. Either may
  be None.
- Splitting a node cuts span and slice alike and never copies a token twice.
- ``memory_bytes`` and ``held_children`` change in ``set_span`` and nowhere else; which
  nodes read a record on disk, in ``set_stored``.

The tree knows neither files nor MLX: a span is anything with the Span protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from apps.inference.engine.tokens import Tokens, agreement

if TYPE_CHECKING:
    from apps.inference.engine.prompt_cache.entries import Entry


class Span(Protocol):
    """KV of consecutive tokens."""

    @property
    def nbytes(self) -> int: ...

    @property
    def checkpoint(self) -> object | None:
        """What of the span only serves prompts that go on exactly where it ends."""
        ...

    def cut(self, start: int, stop: int) -> Span:
        """The KV of tokens ``start`` to ``stop`` of this span, in memory of its own."""
        ...


@dataclass(frozen=True)
class StoredSlice:
    """A node's KV on disk: its tokens begin ``offset`` tokens into the record's span."""

    record: str
    offset: int
    checkpoint: bool = False
    """Whether the record has a checkpoint, and the node ends where it was taken."""


class Node:
    __slots__ = ("children", "end", "entry", "held_children", "parent", "span", "stored", "tokens")

    def __init__(self, tokens: Tokens, parent: Node | None) -> None:
        self.tokens = tokens
        self.parent = parent
        self.children: dict[int, Node] = {}
        self.held_children = 0
        """How many of them have KV in memory; a system prompt may have thousands of children."""
        self.span: Span | None = None
        self.stored: StoredSlice | None = None
        self.entry: Entry | None = None
        self.end: int = (parent.end if parent else 0) + len(tokens)
        """Tokens from the root to this node's last."""

    @property
    def start(self) -> int:
        return self.end - len(self.tokens)

    @property
    def has_checkpoint(self) -> bool:
        if self.span is not None:
            return self.span.checkpoint is not None
        return self.stored is not None and self.stored.checkpoint

    def upwards(self) -> Iterator[Node]:
        """This node and those above it, up to below the root."""
        node: Node | None = self
        while node is not None and node.parent is not None:
            yield node
            node = node.parent

    def path(self) -> list[Node]:
        """The nodes from below the root to this one."""
        return list(self.upwards())[::-1]

    def subtree(self) -> Iterator[Node]:
        """This node and all below it, parents before children."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(node.children.values())

    def spelled(self) -> Tokens:
        """The tokens from the root to this node's last."""
        return tuple(token for node in self.path() for token in node.tokens)


@dataclass(frozen=True)
class Step:
    """One node of a match and how many of its tokens matched."""

    node: Node
    taken: int


class RadixTree:
    def __init__(self) -> None:
        self.root = Node((), None)
        self.memory_bytes = 0
        self._readers: dict[str, dict[Node, None]] = {}

    def match(self, tokens: Tokens) -> list[Step]:
        """The longest path that ``tokens`` begins with; its last node may match in part."""
        steps: list[Step] = []
        node, at = self.root, 0
        while at < len(tokens) and (child := node.children.get(tokens[at])) is not None:
            taken = agreement(child.tokens, tokens, at)
            steps.append(Step(child, taken))
            at += taken
            if taken < len(child.tokens):
                break
            node = child
        return steps

    def grow(self, tokens: Tokens) -> Node:
        """The node at which ``tokens`` ends, made by splitting and adding where needed."""
        node, at = self.root, 0
        for step in self.match(tokens):
            node = step.node if step.taken == len(step.node.tokens) else self._split(step)
            at += step.taken
        if at == len(tokens):
            return node
        leaf = Node(tokens[at:], node)
        node.children[leaf.tokens[0]] = leaf
        return leaf

    def set_span(self, node: Node, span: Span | None) -> None:
        """Put KV into a node, or take it out; the only place that counts bytes."""
        self.memory_bytes -= node.span.nbytes if node.span else 0
        self.memory_bytes += span.nbytes if span else 0
        if node.parent is not None:
            node.parent.held_children += (span is not None) - (node.span is not None)
        node.span = span

    def set_stored(self, node: Node, stored: StoredSlice | None) -> None:
        """Note where on disk a node's KV lies."""
        if node.stored is not None:
            readers = self._readers[node.stored.record]
            del readers[node]
            if not readers:
                del self._readers[node.stored.record]
        if stored is not None:
            self._readers.setdefault(stored.record, {})[node] = None
        node.stored = stored

    def readers(self, record: str) -> list[Node]:
        """The nodes whose KV lies in this record on disk."""
        return list(self._readers.get(record, ()))

    def remove(self, leaf: Node) -> None:
        """Take a leaf, and the KV it holds, out of the tree."""
        assert leaf.parent is not None
        assert not leaf.children
        self.set_span(leaf, None)
        self.set_stored(leaf, None)
        del leaf.parent.children[leaf.tokens[0]]

    def nodes(self) -> Iterator[Node]:
        """Every node but the root, parents before children."""
        return (node for node in self.root.subtree() if node is not self.root)

    def _split(self, step: Step) -> Node:
        """Cut a node after its matched tokens; the lower half keeps entry and children."""
        lower, at = step.node, step.taken
        assert lower.parent is not None
        span = lower.span
        self.set_span(lower, None)
        upper = Node(lower.tokens[:at], lower.parent)
        lower.parent.children[upper.tokens[0]] = upper
        lower.parent = upper
        lower.tokens = lower.tokens[at:]
        upper.children[lower.tokens[0]] = lower
        if span is not None:
            self.set_span(upper, span.cut(0, at))
            self.set_span(lower, span.cut(at, at + len(lower.tokens)))
        if (stored := lower.stored) is not None:
            self.set_stored(upper, StoredSlice(stored.record, stored.offset))
            rest = StoredSlice(stored.record, stored.offset + at, stored.checkpoint)
            self.set_stored(lower, rest)
        return upper
