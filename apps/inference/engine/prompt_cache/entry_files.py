"""An entry as a file: what of it outlives the process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from apps.inference.engine.prompt_cache.entries import Entry, Kind
from apps.inference.engine.prompt_cache.radix import Node
from apps.inference.engine.prompt_cache.records import CorruptRecord


@dataclass(frozen=True)
class EntryFile:
    id: str
    namespace: str
    kind: Kind
    model: str
    model_digest: str
    preview: str
    tokens: tuple[int, ...]
    pinned: bool
    hits: int
    created_at: float
    last_used_at: float


_entry_files = TypeAdapter(EntryFile)


def entry_file(entry: Entry) -> EntryFile:
    """The entry as it is now."""
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


def restored_entry(file: EntryFile, node: Node) -> Entry:
    """The entry as it was, ending at ``node``; its place among the others is not in the file."""
    return Entry(
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


def encode_entry(entry: EntryFile) -> bytes:
    """One line with the digest of the next, which is the entry as JSON."""
    body = _entry_files.dump_json(entry)
    return _digest(body) + b"\n" + body


def decode_entry(data: bytes) -> EntryFile:
    """Raises CorruptRecord for what is no whole, unchanged entry."""
    digest, _, body = data.partition(b"\n")
    if _digest(body) != digest:
        raise CorruptRecord("digest differs")
    try:
        return _entry_files.validate_json(body)
    except ValidationError as error:
        raise CorruptRecord("entry unreadable") from error


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=32).hexdigest().encode()
