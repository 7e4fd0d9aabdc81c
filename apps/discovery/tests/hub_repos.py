"""Repositories of the tests' hub: what they hold, and how listings tell of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

LARGE = 20_000
"""Bytes from which a file counts as one kept in LFS, and is served by the other host."""


@dataclass
class Repo:
    files: dict[str, bytes]
    commit: str
    gate: tuple[int, str] | None = None
    private_to: str | None = None
    """The token that may see it; None: it is public."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More of what the information about it says."""
    branches: dict[str, Repo] = field(default_factory=dict)
    """Other branches than main, by name."""

    def at(self, revision: str | None) -> Repo | None:
        """What it holds at a branch or commit; None where it has no such."""
        if revision in (None, "main", self.commit):
            return self
        by_name = self.branches.get(revision or "")
        return by_name or next((b for b in self.branches.values() if b.commit == revision), None)


def repo_of(files: dict[str, bytes], facts: dict[str, Any]) -> Repo:
    """A repository whose commit follows from its contents."""
    content = b"".join(name.encode() + files[name] for name in sorted(files))
    return Repo(files, hashlib.sha1(content).hexdigest(), facts=facts)


def sibling(name: str, content: bytes) -> dict[str, Any]:
    """A file as the information about a repository has it."""
    entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_sha1(content)}
    if len(content) >= LARGE:
        entry["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 135}
    return entry


def tree_entry(name: str, content: bytes) -> dict[str, Any]:
    """A file as the tree of a repository has it."""
    entry = {"type": "file", "path": name, "size": len(content), "oid": git_sha1(content)}
    if len(content) < LARGE:
        return entry
    return entry | {"lfs": {"oid": sha256(content), "size": len(content), "pointerSize": 135}}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_sha1(content: bytes) -> str:
    """What git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
