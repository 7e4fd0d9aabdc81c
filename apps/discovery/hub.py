"""The Hugging Face Hub over the wire. The only module that imports huggingface_hub.

Downloads go file by file through the library's ranged ``http_get`` rather than
``snapshot_download``: since huggingface_hub 1.x that one keeps no partial file
once its process is gone, and a killed download of a 5 GB shard begins anew.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
from huggingface_hub import HfApi, ModelInfo, constants, get_token, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from apps.discovery import errors
from apps.discovery.snapshot import RemoteFile, Snapshot, needed

INFO_TIMEOUT = 20.0
"""Seconds to wait for a repository's listing. Downloads wait HF_HUB_DOWNLOAD_TIMEOUT."""

Progress = Callable[[RemoteFile, int], None]
"""Called with the file being fetched and the bytes of all files that are here now."""

# The library would name the software around it to the hub, and ask the hub
# what to look for. The people who pull a model did not agree to either.
constants.HF_HUB_DISABLE_TELEMETRY = True


@dataclass(frozen=True)
class Access:
    """Which hub, and as whom."""

    endpoint: str
    """Base address, such as "https://huggingface.co"."""
    token: str | None = field(default=None, repr=False)
    """None: the one that `hf auth login` stored, if there is one."""

    @property
    def headers(self) -> dict[str, str]:
        token = self.token or get_token()
        headers = {"Accept-Encoding": "identity"}  # sizes and ranges count the file's own bytes
        return headers | ({"authorization": f"Bearer {token}"} if token else {})


def check_repo_id(repo_id: str) -> None:
    """Raises InvalidRepoId for text that no repository can be called."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise errors.InvalidRepoId(
            f"{repo_id!r} can't be a repository on Hugging Face. Name one as OWNER/NAME, "
            "for example mlx-community/Qwen2.5-0.5B-Instruct-4bit."
        ) from error


def find(repo_id: str, revision: str | None, access: Access) -> Snapshot:
    """The repository's files that a model needs, at ``revision`` or its newest commit.

    One request, whatever the number of files. Raises InvalidRepoId, RepoNotFound,
    AccessRefused, NoUsableWeights or HubUnreachable. A gated repository shows its
    listing to everyone: that one refuses at the first file.
    """
    check_repo_id(repo_id)
    api = HfApi(endpoint=access.endpoint, token=access.token)
    with _explained(repo_id, access):
        try:
            info = api.model_info(
                repo_id, revision=revision, files_metadata=True, timeout=INFO_TIMEOUT
            )
            commit, listed = _listing(info)
        except (ValueError, KeyError, TypeError) as error:
            raise errors.HubUnreachable(
                f"{access.endpoint} did not answer as Hugging Face does. Check the network "
                "(a sign-in page, a proxy) and MLXHUB_HF_ENDPOINT."
            ) from error
    snapshot = Snapshot(repo_id, commit, needed(listed))
    if not snapshot.is_model:
        raise _no_weights(repo_id, listed)
    return snapshot


def download(snapshot: Snapshot, folder: Path, access: Access, progress: Progress) -> None:
    """Bring ``folder`` to hold the snapshot's files, each checked against its checksum.

    Goes on from what an earlier, interrupted call left there, also in mid-file.
    Raises RepoNotFound, AccessRefused, HubUnreachable, NotEnoughDisk, NotWritable
    or DownloadDamaged; what has arrived by then stays for the next call.
    """
    done = 0
    with _explained(snapshot.repo_id, access):
        for file in snapshot.files:
            _fetch(snapshot, file, folder, access, _Meter(file, done, progress))
            done += file.size
        snapshot.remove_strays(folder)


def _fetch(
    snapshot: Snapshot, file: RemoteFile, folder: Path, access: Access, meter: _Meter
) -> None:
    target, part = folder / file.name, folder / file.part_name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_content_of(target):
        _append_rest(snapshot, file, part, access, meter)
        if not file.is_content_of(part):
            part.unlink()
            raise errors.DownloadDamaged(
                f"{file.name} of {snapshot.repo_id} arrived damaged: its content does not match "
                "the repository's checksum. Try again; if it stays so, the network or a mirror "
                "changes what passes through."
            )
        part.replace(target)
    meter.finish()


def _append_rest(
    snapshot: Snapshot, file: RemoteFile, part: Path, access: Access, meter: _Meter
) -> None:
    url = hf_hub_url(
        snapshot.repo_id, file.name, revision=snapshot.commit, endpoint=access.endpoint
    )
    with part.open("ab") as stream:
        here = stream.tell()
        if here < file.size:
            # The library asks for a bar's class and only ever calls it.
            bar = cast(Any, meter)
            http_get(url, stream, resume_size=here, headers=access.headers, tqdm_class=bar)
        stream.flush()
        os.fsync(stream.fileno())


class _Meter:
    """The part of tqdm's interface that ``http_get`` uses, handing on the count."""

    def __init__(self, file: RemoteFile, before: int, progress: Progress) -> None:
        self._file = file
        self._before = before
        self._here = 0
        self._progress = progress

    def __call__(self, *, initial: int = 0, **_: object) -> _Meter:
        self.update(initial - self._here)
        return self

    def __enter__(self) -> _Meter:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def update(self, count: int) -> None:
        self._here += count
        self._progress(self._file, self._before + self._here)

    def finish(self) -> None:
        self.update(self._file.size - self._here)


def _listing(info: ModelInfo) -> tuple[str, list[RemoteFile]]:
    """The commit and every file that has a size and a checksum."""
    if not info.sha or info.siblings is None:
        raise ValueError("the answer lacks the commit or the files")
    files = [
        RemoteFile(one.rfilename, one.size, one.lfs.sha256 if one.lfs else one.blob_id or "")
        for one in info.siblings
        if one.size is not None
    ]
    return info.sha, files


def _no_weights(repo_id: str, listed: list[RemoteFile]) -> errors.NoUsableWeights:
    """With the way out that the repository's files suggest."""
    if any(file.name.endswith(".gguf") for file in listed):
        way_out = (
            "It has GGUF files: download one of them and run `mlx-hub import FILE --name NAME`."
        )
    else:
        way_out = (
            "Look for a conversion of it, for example among the repositories of mlx-community."
        )
    return errors.NoUsableWeights(
        f"{repo_id} holds no config.json with model*.safetensors files, so it is not a language "
        f"model that MLX can load. {way_out}"
    )


@contextmanager
def _explained(repo_id: str, access: Access) -> Iterator[None]:
    """Turns the library's errors, the network's and the disk's into this package's."""
    try:
        yield
    except GatedRepoError as error:
        raise _refusal(repo_id, access, error) from error
    except RepositoryNotFoundError as error:
        raise errors.RepoNotFound(
            f"{repo_id} is not on {access.endpoint}, or it is private. Check the spelling; for a "
            "private repository set HF_TOKEN to an access token that may read it."
        ) from error
    except (RevisionNotFoundError, RemoteEntryNotFoundError) as error:
        raise errors.RepoNotFound(
            f"{repo_id} has no such revision, or its files changed just now. Name another "
            "revision, or try again."
        ) from error
    except HfHubHTTPError as error:
        raise _bad_answer(repo_id, access, error) from error
    except OfflineModeIsEnabled as error:
        raise errors.HubUnreachable(
            f"HF_HUB_OFFLINE is set, so {access.endpoint} was not asked. Unset it, then try again."
        ) from error
    except httpx2.HTTPError as error:
        raise errors.HubUnreachable(
            f"{access.endpoint} can't be reached ({type(error).__name__}). Check the network, then "
            "try again; a download goes on from where it stopped."
        ) from error
    except OSError as error:
        raise _disk_error(error) from error


def _refusal(repo_id: str, access: Access, error: GatedRepoError) -> errors.AccessRefused:
    """Which gate it was. Only the status and the message's words tell them apart."""
    page = f"{access.endpoint}/{repo_id}"
    said = (error.server_message or "").lower()
    if error.response.status_code == 401:
        return errors.TokenNeeded(
            f"{repo_id} is gated. Accept its conditions at {page}, make an access token at "
            f"{access.endpoint}/settings/tokens, set HF_TOKEN to it, then try again."
        )
    if "awaiting" in said:
        return errors.AccessPending(
            f"Your request to access {repo_id} waits for its authors. Try again when they agreed; "
            f"{page} shows how it stands."
        )
    if "rejected" in said:
        return errors.AccessDenied(
            f"The authors of {repo_id} refused your request to access it. Choose another model."
        )
    return errors.LicenceNotAccepted(
        f"{repo_id} is gated, and your account has not accepted its conditions. Accept them at "
        f"{page}, then try again."
    )


def _bad_answer(repo_id: str, access: Access, error: HfHubHTTPError) -> errors.DiscoveryError:
    status = error.response.status_code
    if status == 401:
        return errors.TokenRejected(
            f"{access.endpoint} does not accept the access token. Make a new one at "
            f"{access.endpoint}/settings/tokens and set HF_TOKEN to it, or unset it."
        )
    if status == 403:
        return errors.AccessDenied(
            f"The access token may not read {repo_id}. Give it that right at "
            f"{access.endpoint}/settings/tokens, then try again."
        )
    return errors.HubUnreachable(
        f"{access.endpoint} answered with status {status}. Try again in a while; a download goes "
        "on from where it stopped."
    )


def _disk_error(error: OSError) -> errors.DiscoveryError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.NotEnoughDisk(
            "The disk is full. Make room, then try again: the download goes on from where it "
            "stopped."
        )
    if error.errno is None:  # the library's own: fewer bytes came than were announced
        return errors.HubUnreachable(
            "The connection ended before a file was whole. Try again: the download goes on from "
            "where it stopped."
        )
    return errors.NotWritable(
        f"The download can't be written ({error.strerror}: {error.filename2 or error.filename}). Check the folder's "
        "permissions, then try again."
    )
