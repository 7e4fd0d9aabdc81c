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
from collections.abc import Iterable
from dataclasses import dataclass

from apps.inference.engine.config import PromptCacheConfig
from apps.inference.engine.prompt_cache.disk import DiskTier
from apps.inference.engine.prompt_cache.entries import Entry, EntryTable
from apps.inference.engine.prompt_cache.entry_files import EntryFile, entry_file, restored_entry
from apps.inference.engine.prompt_cache.radix import Node, RadixTree, Step, StoredSlice
from apps.inference.engine.prompt_cache.records import Record, RecordHeader
from apps.inference.engine.prompt_cache.spans import KVSpan, span_from_body
from apps.inference.engine.tokens import Tokens

logger = logging.getLogger(__name__)

_READING_PAYS = 16
"""Computing a token's KV takes more than this many times what reading it takes."""

_FLUSH_SECONDS = 10.0


@dataclass
class TierCounters:
    evictions: int = 0
    disk_hits: int = 0


class Tiers:
    def __init__(self, config: PromptCacheConfig) -> None:
        self._config = config
        self.allowance = config.max_memory_bytes
        """Bytes to hold in memory: the budget, or what the machine has left for it."""
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

    def usable(self, namespace: str, tokens: Tokens, *, least: int) -> list[Step]:
        """The matching nodes up to the first without KV, read from disk where that pays.

        Nothing is read for fewer than ``least`` tokens.
        """
        steps = self.tree(namespace).match(tokens)
        if sum(step.taken for step in steps) < least:
            return []
        usable: list[Step] = []
        for step in steps[: self._worth_reading(namespace, steps)]:
            if step.node.span is None and not self._load(namespace, step.node):
                break
            usable.append(step)
        return usable

    def _worth_reading(self, namespace: str, steps: list[Step]) -> int:
        """How many of a match's steps to use: a record is read whole, or not at all."""
        tree, read = self.tree(namespace), set[str]()
        best = best_gain = gain = 0
        for count, step in enumerate(steps, 1):
            stored = step.node.stored
            if step.node.span is None:
                if stored is None:
                    break
                if stored.record not in read:
                    read.add(stored.record)
                    gain -= sum(len(node.tokens) for node in tree.readers(stored.record))
            gain += step.taken * _READING_PAYS
            if gain > best_gain:
                best, best_gain = count, gain
        return best

    def on_disk(self, node: Node) -> bool:
        """Whether a node's KV outlives the process."""
        return (
            self.disk is not None
            and node.stored is not None
            and self.disk.holds(node.stored.record)
        )

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
        name, tree = node.stored.record, self.tree(namespace)
        record = self.disk.read(name)
        if record is None:
            self._lose(namespace, name)
            return False
        span = span_from_body(record.body)
        for other in tree.readers(name):
            if other.stored is not None and other.span is None:
                start, stop = other.stored.offset, other.stored.offset + len(other.tokens)
                whole = (start, stop) == (0, span.tokens)
                tree.set_span(other, span if whole else span.cut(start, stop))
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
            is_last = node.end - start == span.tokens
            lacks_checkpoint = is_last and bool(span.checkpoint) and not node.has_checkpoint
            if node.span is not None and not lacks_checkpoint:
                continue
            part = span.cut(node.start - start, node.end - start)
            tree.set_span(node, part)
            if node.stored is None or lacks_checkpoint:
                self._write(namespace, node, part)

    def _write(self, namespace: str, node: Node, span: KVSpan) -> None:
        """Write a node's KV behind; from now on it can be had from the disk tier."""
        if self.disk is None:
            return
        checkpoint = span.checkpoint is not None
        header = RecordHeader(namespace, node.spelled(), node.start, checkpoint)
        if self.disk.write(Record(header, span.export())):
            tree, replaced = self.tree(namespace), node.stored
            tree.set_stored(node, StoredSlice(header.name, 0, checkpoint))
            self._release(tree, replaced)

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
            self.disk.save_entry(entry_file(entry))

    def settle(self) -> bool:
        """Take note of finished writes, then hold the disk budget; cheap when idle.

        Whether anything changed.
        """
        if self.disk is None:
            return False
        written, failed = self.disk.settle()
        for header in failed:
            self._lose(header.namespace, header.name)
        before = self.counters.evictions
        while (excess := self.disk.over_budget()) is not None:
            namespace, name = excess
            self.disk.delete(name)
            self._lose(namespace, name)
            self.counters.evictions += 1
        if failed or self.counters.evictions > before:
            # An entry that was shortened to what it has in memory counts there now.
            self.fit()
        return written > 0 or self.counters.evictions > before

    def close(self) -> None:
        """Write what is queued and end the writer."""
        if self.disk:
            self.disk.close(_FLUSH_SECONDS)

    def _attach(self, header: RecordHeader) -> bool:
        """Tell the nodes that a record covers where their KV lies; False where none needs it."""
        tree, wanted = self.tree(header.namespace), False
        for step in tree.match(header.tokens):
            node, replaced = step.node, step.node.stored
            if node.start < header.start or step.taken < len(node.tokens):
                continue
            checkpoint = header.checkpoint and node.end == len(header.tokens)
            if replaced is None or (checkpoint and not replaced.checkpoint):
                offset = node.start - header.start
                tree.set_stored(node, StoredSlice(header.name, offset, checkpoint))
                self._release(tree, replaced)
                wanted = True
        return wanted

    # --- evicting -----------------------------------------------------------

    def fit(self) -> None:
        """Evict from memory until both budgets hold."""
        while self.memory_bytes > self.allowance or self.memory_entries > self._config.max_entries:
            entry = self.entries.oldest(lambda entry: entry.droppable_end() is not None)
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
        tree, dropped = self.tree(entry.namespace), list[Node]()
        node = entry.droppable_end()
        while node is not None and node.parent is not None and not entry.shares(node):
            tree.set_span(node, None)
            dropped.append(node)
            node = node.parent
        self._mend(dropped)

    def _shorten(self, entry: Entry) -> None:
        """Let an entry end where its KV does now, or forget it where another ends there."""
        tree, lost = self.tree(entry.namespace), entry.node
        kept = entry.recoverable_end()
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
            self._release(tree, stored)
            node = parent

    def _release(self, tree: RadixTree, stored: StoredSlice | None) -> None:
        """Delete the record behind a slice that was given up, if no node reads it any more."""
        if self.disk and stored is not None and not tree.readers(stored.record):
            self.disk.delete(stored.record)

    def _lose(self, namespace: str, record: str) -> None:
        """A record is gone: forget where it was, and shorten the entries that need it."""
        tree = self.tree(namespace)
        readers = tree.readers(record)
        for node in readers:
            tree.set_stored(node, None)
        self._mend(readers)

    def _mend(self, dropped: Iterable[Node]) -> None:
        """Shorten the entries that stand on one of these nodes, where its KV was the only copy.

        They may end further down, and themselves be on disk.
        """
        for node in dropped:
            if node.span is None and node.stored is None:
                for entry in [below.entry for below in node.subtree() if below.entry]:
                    self._shorten(entry)

    # --- starting -----------------------------------------------------------

    def _restore(self, disk: DiskTier) -> None:
        """Rebuild trees and entries from the folder; what leads nowhere is deleted."""
        for header in disk.scan():
            if self.covered(header.namespace, header.tokens[: header.start]) < header.start:
                disk.discard(header.name, "what it goes on from is gone")
                continue
            tree = self.tree(header.namespace)
            tree.grow(header.tokens[: header.start])
            tree.grow(header.tokens)
            if not self._attach(header):
                disk.delete(header.name)
        for file in sorted(disk.entries(), key=lambda file: file.last_used_at):
            self._restore_entry(file, disk)
        for tree in self._trees.values():
            self._drop_unnamed(tree, disk)
        logger.info("prompt cache: %d entries on disk", len(self.entries))

    def _restore_entry(self, file: EntryFile, disk: DiskTier) -> None:
        """Only where its KV is all there, and no other entry ends at the same token."""
        if not file.tokens or self.covered(file.namespace, file.tokens) < len(file.tokens):
            disk.discard_entry(file.id, "its KV is not all there")
            return
        node = self.tree(file.namespace).grow(file.tokens)
        if node.entry is not None:
            disk.delete_entry(file.id)
            return
        entry = restored_entry(file, node)
        self.entries.add(entry)
        self.entries.touch(entry)
        entry.last_used_at = file.last_used_at

    def _drop_unnamed(self, tree: RadixTree, disk: DiskTier) -> None:
        """Delete the branches that no entry needs."""
        for leaf in [node for node in tree.nodes() if not node.children and node.entry is None]:
            if leaf.stored is not None:
                disk.discard(leaf.stored.record, "no entry leads to it")
            self._trim(tree, leaf)
