"""A repository's files, and what a model needs of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from apps.discovery import errors
from apps.discovery.hub.access import Access, check_repo_id
from apps.discovery.hub.failures import explained
from apps.discovery.hub.fetching import fetch_json, not_the_hub
from apps.discovery.reading import count, table, text
from apps.discovery.snapshot import RemoteFile, RepoType, Snapshot, needed

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Description:
    """A repository at one commit, as the hub describes it."""

    commit: str
    files: tuple[RemoteFile, ...]
    """By name. What has no size, or a name that can't be shown, is left out."""
    given: Mapping[str, Any]
    """The whole answer, untrusted."""


def describe(
    repo_id: str, revision: str | None, access: Access, repo_type: RepoType = "model"
) -> Description:
    """The repository at ``revision``, or its newest commit. One request.

    Read by hand: the library's ``ModelInfo`` fails where any part of the answer, needed
    or not, is not as it knows it. Raises InvalidRepoId, RepoNotFound, AccessRefused or
    HubUnreachable.
    """
    check_repo_id(repo_id)
    url = f"{access.endpoint}/api/{repo_type}s/{repo_id}"
    if revision:
        url += f"/revision/{quote(revision, safe='')}"
    with explained(repo_id if repo_type == "model" else f"datasets/{repo_id}", access):
        answer, _ = fetch_json(url, access, params={"blobs": True})
    given = table(answer)
    commit, siblings = text(given.get("sha")), given.get("siblings")
    if not _COMMIT.fullmatch(commit) or not isinstance(siblings, list):
        raise not_the_hub(access)
    files = (file for each in siblings if (file := _file(each)))
    return Description(commit, tuple(sorted(files, key=lambda file: file.name)), given)


def find(repo_id: str, revision: str | None, access: Access) -> Snapshot:
    """The repository's files that a model needs, at ``revision`` or its newest commit.

    Raises NoUsableWeights, beside what ``describe`` raises. A gated repository shows its
    listing to everyone: that one refuses at the first file.
    """
    found = describe(repo_id, revision, access)
    snapshot = Snapshot(repo_id, found.commit, needed(found.files))
    if not snapshot.is_model:
        raise no_weights(repo_id, found.files)
    return snapshot


def no_weights(repo_id: str, files: Iterable[RemoteFile]) -> errors.NoUsableWeights:
    """For a repository that is no model of MLX's, with the way out that its files suggest."""
    if any(file.name.endswith(".gguf") for file in files):
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


def _file(sibling: object) -> RemoteFile | None:
    given = table(sibling)
    name, size = text(given.get("rfilename")), count(given.get("size"))
    if not name or name != given.get("rfilename") or size is None:
        return None
    checksum = text(table(given.get("lfs")).get("sha256")) or text(given.get("blobId"))
    return RemoteFile(name, size, checksum)
