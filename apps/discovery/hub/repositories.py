"""One repository: what it says of itself, its revisions, and its small files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from huggingface_hub import hf_hub_url

from apps.discovery.hub.access import Access, check_repo_id
from apps.discovery.hub.failures import explained
from apps.discovery.hub.fetching import Answer, fetch, fetch_json, not_the_hub
from apps.discovery.hub.files import describe
from apps.discovery.listing import ListedModel, listed
from apps.discovery.reading import table, text, texts
from apps.discovery.snapshot import RemoteFile

CARD_FACTS = ("language", "datasets", "base_model", "license_link", "new_version")
"""Front matter that a reader wants to know, beside what the hub's summary has."""

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


def revisions(repo_id: str, access: Access) -> tuple[Revision, ...]:
    """The repository's branches, then its tags. Raises as ``repository`` does."""
    check_repo_id(repo_id)
    with explained(repo_id, access):
        answer, _ = fetch_json(f"{access.endpoint}/api/models/{repo_id}/refs", access)
    found = []
    for kind, key in (("branch", "branches"), ("tag", "tags")):
        entries = table(answer).get(key)
        for entry in map(table, entries if isinstance(entries, list) else []):
            if name := text(entry.get("name")):
                found.append(Revision(name, text(entry.get("targetCommit")), kind))
    return tuple(found[:MAX_REFS])


def small_file(repo_id: str, commit: str, name: str, access: Access, *, at_most: int) -> Answer:
    """The first ``at_most`` bytes of a file. Raises as ``repository`` does."""
    check_repo_id(repo_id)
    url = hf_hub_url(repo_id, name, revision=commit, endpoint=access.endpoint)
    with explained(repo_id, access):
        return fetch(url, access, at_most=at_most)
