"""One repository: what it says of itself, its revisions, and its small files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from huggingface_hub import hf_hub_url

from apps.discovery import errors
from apps.discovery.data.listing import ListedDataset, listed_dataset
from apps.discovery.data.parts import DataPart, converted_parts, parts_of
from apps.discovery.hub.access import Access, check_repo_id
from apps.discovery.hub.failures import explained
from apps.discovery.hub.fetching import Answer, fetch, fetch_json, not_the_hub
from apps.discovery.hub.files import describe
from apps.discovery.listing import ListedModel, is_repo_id, listed
from apps.discovery.reading import table, text, texts
from apps.discovery.snapshot import RemoteFile, RepoType

CARD_FACTS = ("language", "datasets", "base_model", "license_link", "new_version")
"""Front matter that a reader wants to know, beside what the hub's summary has."""

CONVERTED = "refs/convert/parquet"
"""The branch on which the hub keeps a dataset as Parquet."""

MAX_REFS = 200
"""Branches and tags that are offered."""


@dataclass(frozen=True)
class Repository:
    """A repository at one commit, without its contents."""

    model: ListedModel
    commit: str
    files: tuple[RemoteFile, ...]
    """All of them, whether a model needs them or not; what has no size is left out."""
    card: Mapping[str, tuple[str, ...]]
    """What the front matter of its card says of CARD_FACTS; the hub parsed it."""


@dataclass(frozen=True)
class Revision:
    """A branch or tag."""

    name: str
    commit: str
    kind: str
    """"branch" or "tag"."""


def repository(repo_id: str, revision: str | None, access: Access) -> Repository:
    """The repository at ``revision``, or its newest commit. Raises as ``describe`` does."""
    found = describe(repo_id, revision, access)
    model = listed(found.given)
    if model is None:
        raise not_the_hub(access)
    front = table(found.given.get("cardData"))
    card = {key: lines for key in CARD_FACTS if (lines := texts(front.get(key)))}
    return Repository(model, found.commit, found.files, card)


@dataclass(frozen=True)
class DataRepository:
    """A dataset at one commit, by its parts."""

    dataset: ListedDataset
    commit: str
    """Of what was asked for."""
    data_commit: str
    """Of the branch that the parts' files are of; another one where they are converted."""
    parts: tuple[DataPart, ...]
    is_converted: bool
    """Whether the parts are the hub's conversion to Parquet, not the repository's own files."""
    has_card: bool


def data_repository(repo_id: str, revision: str | None, access: Access) -> DataRepository:
    """The dataset at ``revision``, or its newest commit. Raises as ``describe`` does.

    The hub converts what is newest, so an older revision has its own files alone.
    """
    if not is_repo_id(repo_id):
        raise errors.InvalidRepoId(
            f"{repo_id!r} can't be a dataset on Hugging Face. Name one as OWNER/NAME, for example "
            "HuggingFaceH4/ultrachat_200k."
        )
    found = describe(repo_id, revision, access, "dataset")
    dataset = listed_dataset(found.given)
    if dataset is None:
        raise not_the_hub(access)
    has_card = any(file.name == "README.md" for file in found.files)
    parts = parts_of(found.files, table(found.given.get("cardData")))
    if parts or revision:
        return DataRepository(dataset, found.commit, found.commit, parts, False, has_card)
    try:
        converted = describe(repo_id, CONVERTED, access, "dataset")
    except errors.RepoNotFound:  # not every one is converted
        return DataRepository(dataset, found.commit, found.commit, (), False, has_card)
    parts = converted_parts(converted.files)
    return DataRepository(dataset, found.commit, converted.commit, parts, bool(parts), has_card)


def revisions(repo_id: str, access: Access, repo_type: RepoType = "model") -> tuple[Revision, ...]:
    """The repository's branches, then its tags. Raises as ``repository`` does."""
    check_repo_id(repo_id)
    with explained(repo_id, access):
        answer, _ = fetch_json(f"{access.endpoint}/api/{repo_type}s/{repo_id}/refs", access)
    found = []
    for kind, key in (("branch", "branches"), ("tag", "tags")):
        entries = table(answer).get(key)
        for entry in map(table, entries if isinstance(entries, list) else []):
            if name := text(entry.get("name")):
                found.append(Revision(name, text(entry.get("targetCommit")), kind))
    return tuple(found[:MAX_REFS])


def small_file(
    repo_id: str,
    commit: str,
    name: str,
    access: Access,
    *,
    at_most: int,
    repo_type: RepoType = "model",
) -> Answer:
    """The first ``at_most`` bytes of a file. Raises as ``repository`` does."""
    check_repo_id(repo_id)
    url = hf_hub_url(repo_id, name, repo_type=repo_type, revision=commit, endpoint=access.endpoint)
    with explained(repo_id, access):
        return fetch(url, access, at_most=at_most)
