"""All that Discover tells of one model, before any of its weights is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from apps.discovery import hub
from apps.discovery.asking import ask_at_once
from apps.discovery.cards import MAX_CARD_BYTES, Card, card_of
from apps.discovery.configured import configured_access
from apps.discovery.errors import DiscoveryError
from apps.discovery.keeping import Kept, Shelf
from apps.discovery.listing import ListedModel
from apps.models.sizes import readable

MAX_CONFIG_BYTES = 2 * 1024**2
"""A large model's, with every layer's quantisation spelled out, has about 300 kB."""

MAX_RELATIVES = 30

_CARD = "README.md"
_CONFIG = "config.json"


@dataclass(frozen=True)
class ModelFacts:
    """What the hub tells of one repository at one commit."""

    repository: hub.Repository
    revisions: tuple[hub.Revision, ...] = ()
    card: Card | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    """config.json; empty where it can't be had."""
    relatives: tuple[ListedModel, ...] = ()
    """Quantised forms of the same model, the most downloaded first."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """What could not be had and why: "card", "config", "revisions" or "relatives"."""
    is_complete: bool = True
    """False where another try may bring more."""


_pages = Shelf("model", ModelFacts)


def model_facts(repo_id: str, revision: str = "", *, anew: bool = False) -> Kept[ModelFacts]:
    """The repository at ``revision``, by default its newest commit.

    ``anew`` asks the hub though an answer is kept. Raises InvalidRepoId, RepoNotFound,
    AccessRefused, or HubUnreachable where the hub is silent and nothing is kept.
    """
    access = configured_access()
    hub.check_repo_id(repo_id)
    return _pages.get(
        (repo_id, revision),
        access,
        lambda: _ask(repo_id, revision, access),
        anew=anew,
        is_whole=lambda facts: facts.is_complete,
    )


def _ask(repo_id: str, revision: str, access: hub.Access) -> ModelFacts:
    """One request for the repository, then the others at once."""
    repository = hub.repository(repo_id, revision or None, access)
    brought = ask_at_once(
        {
            "revisions": lambda: hub.revisions(repo_id, access),
            "card": lambda: _card(repository, access),
            "config": lambda: _config(repository, access),
            "relatives": lambda: _relatives(repository.model, access),
        }
    )
    return ModelFacts(
        repository, **brought.parts, problems=brought.problems, is_complete=brought.is_complete
    )


def _card(repository: hub.Repository, access: hub.Access) -> Card | None:
    if _size(repository, _CARD) is None:
        return None
    repo_id = repository.model.repo_id
    answer = hub.small_file(repo_id, repository.commit, _CARD, access, at_most=MAX_CARD_BYTES)
    base = f"{access.endpoint}/{repo_id}/blob/{repository.commit}/"
    return card_of(answer.body, base=base, is_whole=answer.is_whole)


def _config(repository: hub.Repository, access: hub.Access) -> Mapping[str, Any]:
    """config.json. Raises DiscoveryError with the reason where it is none that is read."""
    repo_id, size = repository.model.repo_id, _size(repository, _CONFIG)
    if size is None:
        return {}
    if size > MAX_CONFIG_BYTES:
        raise _too_large(repo_id)
    answer = hub.small_file(repo_id, repository.commit, _CONFIG, access, at_most=MAX_CONFIG_BYTES)
    if not answer.is_whole:
        raise _too_large(repo_id)
    try:
        config = from_json(answer.body)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise DiscoveryError(
            f"The config.json of {repo_id} is not a JSON object, so nothing is known of the "
            "model's shape. Choose another repository."
        )
    return config


def _too_large(repo_id: str) -> DiscoveryError:
    return DiscoveryError(
        f"The config.json of {repo_id} is too large to be a model's: more than "
        f"{readable(MAX_CONFIG_BYTES)}. It is not read; choose another repository."
    )


def _relatives(model: ListedModel, access: hub.Access) -> tuple[ListedModel, ...]:
    base = model.quantized_from or model.repo_id
    query = hub.Query(
        filters=(f"base_model:quantized:{base}",), sort="downloads", limit=MAX_RELATIVES
    )
    found = hub.search(query, access).models
    return tuple(each for each in found if each.repo_id != model.repo_id)


def _size(repository: hub.Repository, name: str) -> int | None:
    return next((file.size for file in repository.files if file.name == name), None)
