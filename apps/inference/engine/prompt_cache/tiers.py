"""Where cached KV lies: in memory, on disk, in both, or no more.

Owns the trees, the entries and the disk tier, and keeps them consistent: what
is filed is written behind, what is evicted from memory stays reachable on disk,
what is lost on disk shortens the entries that stood on it. What to look up and
what to remember is decided in cache.py.

Invariant: every leaf of every tree carries an entry, so that everything held
can be listed and evicted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from apps.inference.engine.config import PromptCacheConfig
from apps.inference.engine.prompt_cache.disk import DiskTier, EntryFile
from apps.inference.engine.prompt_cache.entries import Entry, EntryTable
from apps.inference.engine.prompt_cache.radix import Node, RadixTree, Step, StoredSlice
from apps.inference.engine.prompt_cache.records import Record, RecordHeader
from apps.inference.engine.prompt_cache.spans import KVSpan, span_from_body
from apps.inference.engine.tokens import Tokens

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 10.0


@dataclass
class TierCounters:
    evictions: int = 0
    disk_hits: int = 0


class Tiers:
    def __init__(self, config: PromptCacheConfig) -> None:
        self._config = config
        self._trees: dict[str, RadixTree] = {}
        self.entries = EntryTable()
        self.counters = TierCounters()
        self.disk: DiskTier | None = None
        if config.max_disk_bytes > 0:
            self.disk = DiskTier(
                config.directory,
                max_bytes=config.max_disk_bytes,
                min_free_bytes=config.min_free_disk_bytes,
            )
            self._restore(self.disk)

    def tree(self, namespace: str) -> RadixTree:
        return self._trees.setdefault(namespace, RadixTree())

    @property
    def memory_bytes(self) -> int:
        return sum(tree.memory_bytes for tree in self._trees.values())

    @property
    def memory_entries(self) -> int:
        """Entries whose KV is in memory from the first token to the last."""
        return sum(1 for entry in self.entries if entry.in_memory)

    # --- reading ------------------------------------------------------------

    def usable(self, namespace: str, tokens: Tokens) -> list[Step]:
        """The matching nodes up to the first without KV, read from disk where need be."""
        usable: list[Step] = []
        for step in self.tree(namespace).match(tokens):
            if step.node.span is None and not self._load(namespace, step.node):
                break
            usable.append(step)
        return usable

    def covered(self, namespace: str, tokens: Tokens, *, exact: bool = False) -> int:
        """How many tokens of this beginning have their KV in memory or on disk.

        With ``exact``, the node that ends ``tokens`` only counts with a checkpoint.
        """
        covered = 0
        for step in self.tree(namespace).match(tokens):
            node = step.node
            if node.span is None and node.stored is None:
                break
            ends = covered + step.taken == len(tokens)
            whole = step.taken == len(node.tokens)
            if exact and ends and not (whole and node.has_checkpoint):
                break
            covered += step.taken
        return covered

    def _load(self, namespace: str, node: Node) -> bool:
        """Bring a stored node into memory; False, and forgotten, where that fails."""
        if node.stored is None or self.disk is None:
            return False
        name = node.stored.record
        record = self.disk.read(name)
        if record is None:
            self._lose(namespace, name)
            return False
        span = span_from_body(record.body)
        tree = self.tree(namespace)
        for other in tree.nodes():
            if other.stored is not None and other.stored.record == name and other.span is None:
                offset = other.stored.offset
                tree.set_span(other, span.cut(offset, offset + len(other.tokens)))
        self.counters.disk_hits += 1
        return True

    # --- writing ------------------------------------------------------------

    def fill(self, namespace: str, end: Node, span: KVSpan, start: int) -> None:
        """Give the nodes of a path that lie in ``span`` their part of it, and write them.

        ``start`` is the position of the span's first token in the path.
        """
        tree = self.tree(namespace)
        for node in end.path():
            if node.start < start:
                continue
            part = span.cut(node.start - start, node.end - start)
            lacks_checkpoint = part.checkpoint is not None and not node.has_checkpoint
            if node.span is not None and not lacks_checkpoint:
                continue
            part.evaluate()
            tree.set_span(node, part)
            if self.disk and (node.stored is None or lacks_checkpoint):
                checkpoint = part.checkpoint is not None
                header = RecordHeader(namespace, node.spelled(), node.start, checkpoint)
                self.disk.write(Record(header, part.export()))

    def touch(self, entry: Entry) -> None:
        """Make the entry and what it stands on the most recently used, in both tiers."""
        self.entries.touch(entry)
        if self.disk:
            for node in reversed(entry.node.path()):
                if node.stored is not None:
                    self.disk.touch(node.stored.record)
        self.save(entry)

    def save(self, entry: Entry) -> None:
        """Let the entry, as it is now, outlive the process."""
        if self.disk:
            self.disk.save_entry(_entry_file(entry))

    def settle(self) -> None:
        """Take note of finished writes, then hold the disk budget; cheap when idle."""
        if self.disk is None:
            return
        for header in self.disk.finished():
            if not self._attach(header):
                self.disk.delete(header.name)
        while (excess := self.disk.over_budget()) is not None:
            self.disk.delete(excess.name)
            self._lose(excess.namespace, excess.name)
            self.counters.evictions += 1

    def close(self) -> None:
        """Write what is queued and end the writer."""
        if self.disk:
            self.disk.close(_FLUSH_SECONDS)

    def _attach(self, header: RecordHeader) -> bool:
        """Tell the nodes that a record covers where their KV lies; False where none needs it."""
        wanted = False
        for step in self.tree(header.namespace).match(header.tokens):
            node = step.node
            if node.start < header.start or step.taken < len(node.tokens):
                continue
            checkpoint = header.checkpoint and node.end == len(header.tokens)
            if node.stored is None or (checkpoint and not node.stored.checkpoint):
                replaced = node.stored
                node.stored = StoredSlice(header.name, node.start - header.start, checkpoint)
                wanted = True
                if replaced is not None:
                    self._release(self.tree(header.namespace), replaced.record)
        return wanted

    # --- evicting -----------------------------------------------------------

    def fit(self) -> None:
        """Evict from memory until both budgets hold."""
        while (
            self.memory_bytes > self._config.max_memory_bytes
            or self.memory_entries > self._config.max_entries
        ):
            entry = self.entries.oldest(lambda entry: _droppable_end(entry) is not None)
            if entry is None:
                return
            self._demote(entry)
            self.counters.evictions += 1

    def forget(self, entry: Entry) -> None:
        """Remove an entry and what only it held, in memory and on disk."""
        self.entries.remove(entry)
        if self.disk:
            self.disk.delete_entry(entry.id)
        self._trim(self.tree(entry.namespace), entry.node)

    def _demote(self, entry: Entry) -> None:
        """Drop the KV that only this entry needs from memory; it may stay on disk."""
        tree = self.tree(entry.namespace)
        node = _droppable_end(entry)
        while node is not None and node.parent is not None and not _needed(node, entry):
            tree.set_span(node, None)
            node = node.parent
        self._mend(entry.namespace)

    def _shorten(self, entry: Entry) -> None:
        """Let an entry end where its KV does now, or forget it where another ends there."""
        tree, lost = self.tree(entry.namespace), entry.node
        kept = _recoverable_end(entry)
        if kept is None or kept.entry is not None:
            self.forget(entry)
            return
        self.entries.move(entry, kept)
        self.save(entry)
        self._trim(tree, lost)

    def _trim(self, tree: RadixTree, leaf: Node) -> None:
        """Delete a branch that no entry needs, up to where one does."""
        node = leaf
        while node.parent is not None and not node.children and node.entry is None:
            parent, stored = node.parent, node.stored
            tree.remove(node)
            if stored is not None:
                self._release(tree, stored.record)
            node = parent

    def _release(self, tree: RadixTree, record: str) -> None:
        """Delete a record that no node reads any more."""
        still = any(node.stored and node.stored.record == record for node in tree.nodes())
        if self.disk and not still:
            self.disk.delete(record)

    def _lose(self, namespace: str, record: str) -> None:
        """A record is gone: forget where it was, and shorten the entries that need it."""
        for node in self.tree(namespace).nodes():
            if node.stored is not None and node.stored.record == record:
                node.stored = None
        self._mend(namespace)

    def _mend(self, namespace: str) -> None:
        """Shorten the entries whose KV is no longer all to be had.

        All of them are looked at: what was dropped may have been the only copy
        of a stretch that an entry further down, itself on disk, stands on.
        """
        for entry in self.entries:
            if entry.namespace == namespace and not _recoverable(entry):
                self._shorten(entry)

    # --- starting -----------------------------------------------------------

    def _restore(self, disk: DiskTier) -> None:
        """Rebuild trees and entries from the folder; what leads nowhere is deleted."""
        for header in disk.scan():
            if self.covered(header.namespace, header.tokens[: header.start]) == header.start:
                tree = self.tree(header.namespace)
                tree.grow(header.tokens[: header.start])
                tree.grow(header.tokens)
                if self._attach(header):
                    continue
            disk.delete(header.name)
        for file in sorted(disk.entries(), key=lambda file: file.last_used_at):
            if not self._restore_entry(file):
                disk.delete_entry(file.id)
        for tree in self._trees.values():
            for node in list(tree.nodes()):
                self._trim(tree, node)
        logger.info("prompt cache: %d entries on disk", len(self.entries))

    def _restore_entry(self, file: EntryFile) -> bool:
        """False where its KV is not all there, or another entry ends at the same token."""
        if not file.tokens or self.covered(file.namespace, file.tokens) < len(file.tokens):
            return False
        node = self.tree(file.namespace).grow(file.tokens)
        if node.entry is not None:
            return False
        entry = Entry(
            namespace=file.namespace,
            kind=file.kind,
            model=file.model,
            model_digest=file.model_digest,
            preview=file.preview,
            node=node,
            id=file.id,
            hits=file.hits,
            pinned=file.pinned,
            created_at=file.created_at,
        )
        self.entries.add(entry)
        self.entries.touch(entry)
        entry.last_used_at = file.last_used_at
        return True


def _entry_file(entry: Entry) -> EntryFile:
    return EntryFile(
        id=entry.id,
        namespace=entry.namespace,
        kind=entry.kind,
        model=entry.model,
        model_digest=entry.model_digest,
        preview=entry.preview,
        tokens=entry.node.spelled(),
        pinned=entry.pinned,
        hits=entry.hits,
        created_at=entry.created_at,
        last_used_at=entry.last_used_at,
    )


def _recoverable(entry: Entry) -> bool:
    return all(node.span is not None or node.stored is not None for node in entry.node.path())


def _recoverable_end(entry: Entry) -> Node | None:
    """The last node on the entry's path up to which all KV can be had."""
    end: Node | None = None
    for node in entry.node.path():
        if node.span is None and node.stored is None:
            break
        end = node
    return end


def _droppable_end(entry: Entry) -> Node | None:
    """The last node in memory on the entry's path, where no other entry needs it."""
    for node in reversed(entry.node.path()):
        if node.span is not None:
            return None if _needed(node, entry) else node
    return None


def _needed(node: Node, entry: Entry) -> bool:
    """Whether other cached prompts stand on this node's KV in memory."""
    if any(child.span is not None for child in node.children.values()):
        return True
    return node.entry is not None and node.entry is not entry
