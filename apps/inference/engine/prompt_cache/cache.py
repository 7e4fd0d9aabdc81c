"""PromptCache: look up the longest cached prefix, remember what was computed.

Life of a prompt: ``lookup`` finds the KV of its beginning, in memory or on disk;
after its prefill, and again after its answer, ``remember`` files the KV of what
is new under the ends worth naming (``Mark``), and evicts until the budgets hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from apps.inference.engine import protocol
from apps.inference.engine.config import PromptCacheConfig
from apps.inference.engine.errors import EntryNotFound
from apps.inference.engine.prompt_cache.entries import Entry, Kind
from apps.inference.engine.prompt_cache.radix import Node, Step
from apps.inference.engine.prompt_cache.spans import KVSpan
from apps.inference.engine.prompt_cache.tiers import Tiers
from apps.inference.engine.tokens import Tokens

MIN_REUSE = 8
"""Shorter matches are no hits: chat templates alone share the first few tokens."""


@dataclass(frozen=True)
class Mark:
    """An end worth an entry: the prompt's first ``end`` tokens."""

    kind: Kind
    end: int
    preview: str
    pinned: bool = False


@dataclass(frozen=True)
class Hit:
    """The KV of a prompt's first ``tokens`` tokens; no spans where nothing was found.

    ``matched`` tokens are known, ``tokens`` of them can be used: fewer, where the
    model needs a checkpoint to go on from.
    """

    tokens: int
    matched: int = 0
    spans: list[KVSpan] = field(default_factory=list)


class PromptCache:
    def __init__(self, config: PromptCacheConfig) -> None:
        self._config = config
        self._tiers = Tiers(config)
        self._listing: tuple[protocol.CacheEntry, ...] | None = None
        """The entries as they are listed; None where something has changed since."""
        self._hits = 0
        self._misses = 0
        self._tokens_reused = 0
        self._tokens_computed = 0

    # --- reuse --------------------------------------------------------------

    def lookup(self, namespace: str, tokens: Tokens, *, exact: bool = False) -> Hit:
        """The KV of the longest cached beginning of ``tokens``, at least one token short.

        One token is left to compute, since its forward pass gives the logits.
        ``exact`` is for models with layers that can't be cut: the beginning ends
        where a checkpoint was taken.
        """
        self._changed()
        namespace = self._key(namespace)
        steps = self._tiers.usable(namespace, tokens[:-1], least=MIN_REUSE)
        matched = sum(step.taken for step in steps)
        while exact and steps and not _at_checkpoint(steps[-1]):
            steps.pop()
        held = sum(step.taken for step in steps)
        if held < MIN_REUSE:
            held, steps = 0, []
        self._count(held, len(tokens))
        if steps:
            self._credit(steps)
        # Taken before fitting: what was just loaded may be evicted again at once.
        spans = [_part(step) for step in steps]
        self._tiers.fit()
        return Hit(held, matched, spans)

    def covered(self, namespace: str, tokens: Tokens, *, exact: bool = False) -> int:
        """How many tokens of this beginning need not be remembered again."""
        return self._tiers.covered(self._key(namespace), tokens, exact=exact)

    def remember(
        self,
        namespace: str,
        tokens: Tokens,
        span: KVSpan | None,
        *,
        model: protocol.ModelSpec,
        marks: Sequence[Mark],
    ) -> None:
        """File the KV of the last tokens of ``tokens`` under the marks.

        ``span`` holds what ``covered`` said is missing, up to the last token;
        None where nothing was. The marks come in ascending order.
        """
        if self._config.max_entries == 0 or self._config.max_memory_bytes == 0:
            return
        # Nothing may be evicted before the span is filed: it was taken to go on from
        # what ``covered`` found.
        self._listing = None
        namespace = self._key(namespace)
        if span is not None and self._config.kv_bits is not None:
            span = span.quantized(self._config.kv_bits)
        tree = self._tiers.tree(namespace)
        start = len(tokens) - (span.tokens if span else 0)
        tree.grow(tokens[:start])
        for mark in marks:
            end = tree.grow(tokens[: mark.end])
            if span is not None:
                self._tiers.fill(namespace, end, span, start)
            self._mark(namespace, end, mark, model)
        self._tiers.fit()

    # --- what people see and do ---------------------------------------------

    def entry_at(self, namespace: str, tokens: Tokens) -> str | None:
        """The id of the entry that ends exactly at ``tokens``."""
        steps = self._tiers.tree(self._key(namespace)).match(tokens)
        if not steps or steps[-1].node.end != len(tokens) or steps[-1].node.entry is None:
            return None
        return steps[-1].node.entry.id

    def entries(self) -> tuple[protocol.CacheEntry, ...]:
        """Most recently used first."""
        if self._listing is None:
            recent = self._tiers.entries.recent_first()
            self._listing = tuple(self._described(entry) for entry in recent)
        return self._listing

    def stats(self) -> protocol.CacheStats:
        tiers, entries = self._tiers, self.entries()
        lookups = self._hits + self._misses
        return protocol.CacheStats(
            memory_entries=sum(entry.in_memory for entry in entries),
            memory_bytes=tiers.memory_bytes,
            max_entries=self._config.max_entries,
            max_memory_bytes=self._config.max_memory_bytes,
            disk_entries=sum(entry.on_disk for entry in entries),
            disk_bytes=tiers.disk.bytes if tiers.disk else 0,
            max_disk_bytes=self._config.max_disk_bytes,
            total_hits=self._hits,
            total_misses=self._misses,
            hit_rate=self._hits / lookups if lookups else 0.0,
            tokens_reused=self._tokens_reused,
            tokens_computed=self._tokens_computed,
            evictions=tiers.counters.evictions,
            disk_hits=tiers.counters.disk_hits,
            disk_errors=tiers.disk.errors if tiers.disk else 0,
        )

    def evict(self, entry_id: str) -> None:
        """Forget an entry, in memory and on disk. Raises EntryNotFound."""
        self._changed()
        self._tiers.forget(self._get(entry_id))

    def clear(self) -> int:
        """Forget everything; the number of entries that were there."""
        self._changed()
        entries = list(self._tiers.entries)
        for entry in entries:
            self._tiers.forget(entry)
        return len(entries)

    def pin(self, entry_id: str, pinned: bool) -> None:
        """Keep an entry from eviction, or stop keeping it. Raises EntryNotFound."""
        self._changed()
        entry = self._get(entry_id)
        entry.pinned = pinned
        self._tiers.save(entry)

    def allow(self, nbytes: int) -> None:
        """Hold at most this much in memory, and no more than the budget; evicts what is over."""
        allowed = min(nbytes, self._config.max_memory_bytes)
        shrunk = allowed < self._tiers.allowance
        self._tiers.allowance = allowed
        if shrunk:
            self._tiers.fit()

    def settle(self) -> None:
        """Take note of what the disk tier finished, so that listings show it."""
        if self._tiers.settle():
            self._listing = None

    def close(self) -> None:
        """Write what is queued; the cache is not used after this."""
        self._tiers.close()

    # --- entries ------------------------------------------------------------

    def _key(self, namespace: str) -> str:
        """KV kept in other bits is other KV; it lies on disk until its turn to be evicted."""
        bits = self._config.kv_bits
        return namespace if bits is None else f"{namespace}-kv{bits}"

    def _changed(self) -> None:
        """To be called first by whatever changes entries."""
        self._tiers.settle()
        self._listing = None

    def _get(self, entry_id: str) -> Entry:
        entry = self._tiers.entries.get(entry_id)
        if entry is None:
            raise EntryNotFound(f"There is no prompt cache entry {entry_id!r}; it may be evicted.")
        return entry

    def _count(self, held: int, length: int) -> None:
        self._hits += 1 if held else 0
        self._misses += 0 if held else 1
        self._tokens_reused += held
        self._tokens_computed += length - held

    def _credit(self, steps: list[Step]) -> None:
        """Note the hit in every entry that was reused whole, and refresh their recency.

        Where only a part of one was, that one is credited.
        """
        whole = [
            step.node.entry
            for step in steps
            if step.node.entry is not None and step.taken == len(step.node.tokens)
        ]
        recent = self._most_recent_from(steps[-1].node)
        for entry in whole or [recent]:
            entry.hits += 1
        self._tiers.touch(recent)

    def _most_recent_from(self, node: Node) -> Entry:
        """The most recently used entry that ends at ``node`` or below; every leaf has one."""
        if node.entry is not None:
            return node.entry
        below = (lower.entry for lower in node.subtree() if lower.entry is not None)
        return max(below, key=lambda entry: entry.used)

    def _mark(self, namespace: str, end: Node, mark: Mark, model: protocol.ModelSpec) -> None:
        entry = end.entry or self._continued(end, mark)
        if entry is None:
            if mark.kind == "conversation" and end.children:
                # This beginning was asked before and is part of longer entries.
                return
            entry = Entry(namespace, mark.kind, model.name, model.digest, mark.preview, end)
            self._tiers.entries.add(entry)
        entry.pinned = entry.pinned or mark.pinned
        self._tiers.touch(entry)

    def _continued(self, end: Node, mark: Mark) -> Entry | None:
        """The conversation that goes on at ``end``: its entry moves along."""
        if mark.kind != "conversation":
            return None
        for node in end.upwards():
            if node.entry is not None and node.entry.kind == "conversation":
                entry = node.entry
                self._tiers.entries.move(entry, end)
                return entry
        return None

    def _described(self, entry: Entry) -> protocol.CacheEntry:
        path = entry.node.path()
        return protocol.CacheEntry(
            id=entry.id,
            model=entry.model,
            model_digest=entry.model_digest,
            kind=entry.kind,
            preview=entry.preview,
            tokens=entry.node.end,
            bytes=sum(node.span.nbytes for node in path if node.span),
            hits=entry.hits,
            pinned=entry.pinned,
            in_memory=all(node.span is not None for node in path),
            on_disk=all(map(self._tiers.on_disk, path)),
            created_at=entry.created_at,
            last_used_at=entry.last_used_at,
        )


def _at_checkpoint(step: Step) -> bool:
    return step.taken == len(step.node.tokens) and step.node.has_checkpoint


def _part(step: Step) -> KVSpan:
    assert isinstance(step.node.span, KVSpan)
    return step.node.span.head(step.taken)
