"""Bringing a repository's files here.

Over plain ranged requests through the library's session, not through its
``snapshot_download``: since huggingface_hub 1.x that one keeps no partial file once
its process is gone, and a killed download of a 5 GB shard begins anew. Nor through
its ``http_get``, which waits and tries again where nobody sees it, and hands on
10 MB at a time. Files kept in Xet storage come the same way: the hub redirects a
plain request to a bridge that serves them as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BufferedWriter
from pathlib import Path

import httpx2
from huggingface_hub import constants, hf_hub_url
from huggingface_hub.utils import get_session, hf_raise_for_status  # type: ignore[attr-defined]

from apps.discovery import errors
from apps.discovery.hub.access import Access
from apps.discovery.hub.failures import explained
from apps.discovery.snapshot import RemoteFile, Snapshot

CONNECT_TIMEOUT = 10.0
"""Seconds until a connection stands. A read may take HF_HUB_DOWNLOAD_TIMEOUT."""

PIECE: int | None = None
"""Bytes taken from the network at once; None: as many as have come."""


@dataclass(frozen=True)
class Step:
    """How far a download is."""

    file: RemoteFile
    """The one it is at."""
    done: int
    """Bytes of all files that are here."""
    received: int
    """Bytes that came over the network in this call; what an earlier one got does not count."""
    checking: bool
    """Whether the file is being read to compare it with its checksum."""


Progress = Callable[[Step], None]

Setback = Callable[[errors.DiscoveryError, bool], None]
"""Called where a transfer failed, with whether new bytes had come before that.

It returns when the transfer is to be tried again, and raises where it is not.
"""


def give_up(error: errors.DiscoveryError, advanced: bool) -> None:
    """The setback that is the end."""
    raise error


def download(
    snapshot: Snapshot,
    folder: Path,
    access: Access,
    progress: Progress,
    setback: Setback = give_up,
    needs: Callable[[RemoteFile], bool] = lambda file: True,
) -> Snapshot:
    """Bring ``folder`` to hold the snapshot's files, each checked against its checksum.

    Goes on from what an earlier, interrupted call left there, also in mid-file. ``needs`` is
    asked of each file once those before it are there; what it does not take is left out of
    the snapshot that is returned. Raises RepoNotFound, AccessRefused, HubUnreachable,
    NotEnoughDisk, NotWritable or DownloadDamaged; what has arrived by then stays for the next
    call.
    """
    counter = _Counter(progress)
    brought: list[RemoteFile] = []
    for file in snapshot.files:
        if not needs(file):
            continue
        _Transfer(snapshot, file, folder, access, counter).complete(setback)
        counter.before += file.size
        brought.append(file)
    kept = replace(snapshot, files=tuple(brought))
    with explained(snapshot.address, access, resumes=True):
        kept.remove_strays(folder)
    return kept


class _Counter:
    """Adds up what the files' transfers tell."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._received = 0
        self.before = 0
        """Bytes of the files that are complete."""

    def tell(self, file: RemoteFile, here: int, *, fresh: int = 0, checking: bool = False) -> None:
        self._received += fresh
        self._progress(Step(file, self.before + here, self._received, checking))


class _Transfer:
    """One file on its way."""

    def __init__(
        self, snapshot: Snapshot, file: RemoteFile, folder: Path, access: Access, counter: _Counter
    ) -> None:
        self._snapshot = snapshot
        self._file = file
        self._target = folder / file.name
        self._part = folder / file.part_name
        self._access = access
        self._counter = counter

    def complete(self, setback: Setback) -> None:
        """Try until the file is here and right, or ``setback`` raises."""
        while True:
            had = self._size()
            try:
                with explained(self._snapshot.address, self._access, resumes=True):
                    self._attempt()
            except (errors.HubUnreachable, errors.DownloadDamaged) as error:
                setback(error, self._size() > had)
            else:
                self._counter.tell(self._file, self._file.size)
                return

    def _attempt(self) -> None:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        if self._is_right(self._target):
            return
        with self._part.open("ab") as stream:
            if stream.tell() < self._file.size:
                self._append_rest(stream)
            stream.flush()
            os.fsync(stream.fileno())
        if not self._is_right(self._part):
            self._part.unlink()
            raise self._damaged()
        self._part.replace(self._target)

    def _append_rest(self, stream: BufferedWriter) -> None:
        here = stream.tell()
        url = hf_hub_url(
            self._snapshot.repo_id,
            self._file.name,
            repo_type=self._snapshot.repo_type,
            revision=self._snapshot.commit,
            endpoint=self._access.endpoint,
        )
        headers = self._access.headers | ({"Range": f"bytes={here}-"} if here else {})
        timeout = httpx2.Timeout(constants.HF_HUB_DOWNLOAD_TIMEOUT, connect=CONNECT_TIMEOUT)
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            hf_raise_for_status(response)
            if here and response.status_code != httpx2.codes.PARTIAL_CONTENT:
                here = stream.truncate(0)  # the server sends all of it again
            self._counter.tell(self._file, here)
            for piece in response.iter_bytes(PIECE):
                here += len(piece)
                if here > self._file.size:
                    raise self._damaged()
                stream.write(piece)
                self._counter.tell(self._file, here, fresh=len(piece))
        if here < self._file.size:
            raise errors.HubUnreachable(
                f"The connection ended before {self._file.name} was whole. Try again: the download "
                "goes on from where it stopped."
            )

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _is_right(self, path: Path) -> bool:
        size = self._file.size if path == self._part else 0
        return self._file.is_content_of(
            path, lambda read: self._counter.tell(self._file, max(size, read), checking=True)
        )

    def _damaged(self) -> errors.DownloadDamaged:
        return errors.DownloadDamaged(
            f"{self._file.name} of {self._snapshot.repo_id} arrived damaged: its content does not "
            "match the repository's checksum. Try again; if it stays so, the network or a mirror "
            "changes what passes through."
        )
