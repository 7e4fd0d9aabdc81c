"""Cache entries: the named prompts, the ends of paths in the radix tree.

An entry is what people see, pin and evict: a system prompt, or a conversation
so far. Its KV lies in the nodes of its path, shared with other entries. This
module decides which entries there are and which goes first, and says how much
of an entry's KV is still to be had; it moves none.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from apps.inference.engine.prompt_cache.radix import Node

Kind = Literal["system", "conversation"]


@dataclass
class Entry:
    """``node`` is where the prompt ends; ``used`` is a counter, larger is more recent."""

    namespace: str
    kind: Kind
    model: str
    model_digest: str
    preview: str
    node: Node
    used: int = 0
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    hits: int = 0
    pinned: bool = False
    created_at: float = field(default_factory=time.time)
    last_used_at: float = field(default_factory=time.time)

    @property
    def in_memory(self) -> bool:
        return all(node.span is not None for node in self.node.upwards())

    def recoverable_end(self) -> Node | None:
        """The last node on the path up to which all KV can be had; None where there is none."""
        end: Node | None = None
        for node in self.node.path():
            if node.span is None and node.stored is None:
                break
            end = node
        return end

    def droppable_end(self) -> Node | None:
        """The last node in memory on the path, where no other entry needs it there."""
        for node in self.node.upwards():
            if node.span is not None:
                return None if self.shares(node) else node
        return None

    def shares(self, node: Node) -> bool:
        """Whether other entries stand on this node's KV in memory."""
        return node.held_children > 0 or (node.entry is not None and node.entry is not self)


class EntryTable:
    """All entries of all namespaces, with their recency."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._clock = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def get(self, entry_id: str) -> Entry | None:
        return self._entries.get(entry_id)

    def add(self, entry: Entry) -> None:
        """Attach the entry to its node; the node must have none."""
        assert entry.node.entry is None
        entry.node.entry = entry
        self._entries[entry.id] = entry

    def remove(self, entry: Entry) -> None:
        entry.node.entry = None
        del self._entries[entry.id]

    def move(self, entry: Entry, node: Node) -> None:
        """A conversation went on: its entry now ends at ``node``."""
        entry.node.entry = None
        entry.node = node
        node.entry = entry

    def touch(self, entry: Entry) -> None:
        """Make the entry and those on its path the most recent.

        Ancestors count as used together with it, and as later: so the end of a
        path is always older than the beginning it stands on, and goes first.
        """
        now = time.time()
        for node in reversed(entry.node.path()):
            if node.entry is not None:
                self._clock += 1
                node.entry.used = self._clock
                node.entry.last_used_at = now

    def oldest(self, eligible: Callable[[Entry], bool]) -> Entry | None:
        """The eligible entry to evict first: least recently used, pinned ones last."""
        by_age = sorted(self._entries.values(), key=lambda entry: (entry.pinned, entry.used))
        return next(filter(eligible, by_age), None)

    def recent_first(self) -> list[Entry]:
        return sorted(self._entries.values(), key=lambda entry: -entry.used)
