"""Bringing files to a repository: large ones first, then all of them in one commit.

Files go as streams that tell how far they are and can end the upload. The library sends
streams over plain LFS requests, as it does without its Xet extension; what the hub has by
its checksum already is not sent again, so an upload that is repeated goes on.
https://huggingface.co/docs/hub/api
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token, set_client_factory
from huggingface_hub.errors import BadRequestError, HfHubHTTPError
from huggingface_hub.utils._http import default_client_factory

from apps.discovery import errors
from apps.discovery.hub.access import Access
from apps.discovery.hub.failures import explained

# It takes no streams, and the library would warn of that for each file.
constants.HF_HUB_DISABLE_XET = True

CONNECT_TIMEOUT = 10.0
SILENCE_TIMEOUT = 120.0
"""Seconds without a byte sent or received. The library itself waits for ever."""

Progress = Callable[[str, int], None]
"""Told the file and how many bytes of all files are sent; what it raises ends the upload."""


def _client() -> httpx2.Client:
    client = default_client_factory()
    client.timeout = httpx2.Timeout(SILENCE_TIMEOUT, connect=CONNECT_TIMEOUT)
    return client


set_client_factory(_client)


@dataclass(frozen=True)
class Outgoing:
    """A file of the commit: one on the disk, or text."""

    name: str
    """In the repository."""
    source: Path | str

    @property
    def size(self) -> int:
        if isinstance(self.source, Path):
            return self.source.stat().st_size
        return len(self.source.encode())

    def opened(self, meter: _Meter) -> io.BufferedIOBase:
        """A stream of it that tells ``meter`` how far it is read."""
        if isinstance(self.source, str):
            return io.BytesIO(self.source.encode())
        return _Told(self.source, lambda at: meter.reads(self.name, at))


class _Meter:
    """Turns what is read of files into what is sent of all: never less than before.

    A file is read for its checksum too, and small ones once more for the commit.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._most = 0
        self.before = 0
        """Bytes of the files that are sent."""
        self.sends = False
        """Whether what is read now is sent."""

    def reads(self, name: str, at: int) -> None:
        if self.sends:
            self._most = max(self._most, self.before + at)
        self._progress(name, self._most)

    def sent(self, file: Outgoing) -> None:
        self.sends = False
        self.before += file.size
        self._most = self.before
        self._progress(file.name, self._most)


def require_writable(access: Access) -> None:
    """Raises TokenNeeded, or HubUnreachable offline: what can be told before anything is sent."""
    with explained("Publishing", access):
        if not access.has_token:
            raise errors.TokenNeeded(
                f"There is no access token, and {access.endpoint} takes files from nobody without "
                f"one. Make one with write access at {access.endpoint}/settings/tokens. Then run "
                "`hf auth login` with it, or set HF_TOKEN to it and restart the hub."
            )


def create_repository(repo_id: str, access: Access, *, private: bool) -> None:
    """Raises RepoExists, AccessRefused, HubUnreachable, RequestRefused."""
    with _writing(repo_id, access):
        _api(access).create_repo(repo_id, private=private, exist_ok=False)


def upload(
    repo_id: str, files: Sequence[Outgoing], access: Access, *, message: str, progress: Progress
) -> str:
    """Commit ``files``; the commit's address. Raises DiscoveryError, and what ``progress`` raises."""
    api = _api(access)
    with _writing(repo_id, access), ExitStack() as streams:
        meter = _Meter(progress)
        operations = []
        for file in files:
            # Reads it whole, for its checksum.
            stream = streams.enter_context(file.opened(meter))
            operation = CommitOperationAdd(file.name, cast("BinaryIO", stream))
            meter.sends = True
            api.preupload_lfs_files(repo_id, [operation], num_threads=1, free_memory=False)
            meter.sent(file)
            operations.append(operation)
        commit = api.create_commit(repo_id, operations, commit_message=message, num_threads=1)
    return str(commit.commit_url)


class _Told(io.BufferedReader):
    """A file that tells how far it is read."""

    def __init__(self, path: Path, tell: Callable[[int], None]) -> None:
        super().__init__(io.FileIO(path))
        self._tell = tell

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._tell(self.tell())
        return data


def _api(access: Access) -> HfApi:
    return HfApi(endpoint=access.endpoint, token=access.token or get_token() or False)


@contextmanager
def _writing(repo_id: str, access: Access) -> Iterator[None]:
    """As ``explained``, in the words of who writes."""
    require_writable(access)
    try:
        with explained(repo_id, access), _unwrapped():
            try:
                yield
            except BadRequestError as error:
                raise errors.RequestRefused(
                    f"{access.endpoint} refused it: {error.server_message or 'no reason given'}."
                ) from error
            except HfHubHTTPError as error:
                if refusal := _refusal(repo_id, access, error.response.status_code):
                    raise refusal from error
                raise
    except errors.RepoNotFound as error:
        raise errors.AccessDenied(
            _NO_RIGHT.format(repo_id=repo_id, endpoint=access.endpoint)
        ) from (error)


_NO_RIGHT = (
    "The access token may not write to {repo_id}. Make one with write access at "
    "{endpoint}/settings/tokens, set HF_TOKEN to it and restart the hub; or choose another owner."
)


def _refusal(repo_id: str, access: Access, status: int) -> errors.DiscoveryError | None:
    """What a status means to who writes; None: the same as to who reads."""
    if status == 409:
        return errors.RepoExists(
            f"{repo_id} is there already. Publish under another name, or have it added to."
        )
    if status in (401, 403):
        return errors.AccessDenied(_NO_RIGHT.format(repo_id=repo_id, endpoint=access.endpoint))
    return None


@contextmanager
def _unwrapped() -> Iterator[None]:
    """The library wraps whatever ends an upload; what is in it tells more."""
    try:
        yield
    except RuntimeError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None
