"""Searches among datasets, and all that is told of one before any of its rows is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.discovery import hub
from apps.discovery.asking import ask_at_once
from apps.discovery.cards import MAX_CARD_BYTES, Card, card_of
from apps.discovery.configured import configured_access
from apps.discovery.data.wanted import DataWanted
from apps.discovery.keeping import Kept, Shelf

_CARD = "README.md"


@dataclass(frozen=True)
class DataFacts:
    """What the hub tells of one dataset at one commit."""

    repository: hub.DataRepository
    revisions: tuple[hub.Revision, ...] = ()
    card: Card | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    """What could not be had and why: "card" or "revisions"."""
    is_complete: bool = True
    """False where another try may bring more."""

    @property
    def configs(self) -> list[str]:
        """The configurations, in their order."""
        return list(dict.fromkeys(part.config for part in self.repository.parts))


_listings = Shelf("datasets", hub.DatasetListing)
_pages = Shelf("dataset", DataFacts)


def find_datasets(
    wanted: DataWanted, cursor: str = "", *, anew: bool = False
) -> Kept[hub.DatasetListing]:
    """One page of the datasets that fit, from ``cursor`` on.

    Raises HubUnreachable where the hub is silent and nothing is kept, or AccessRefused.
    """
    access, query = configured_access(), wanted.query()
    return _listings.get(
        (query, cursor), access, lambda: hub.search_datasets(query, access, cursor), anew=anew
    )


def data_facts(repo_id: str, revision: str = "", *, anew: bool = False) -> Kept[DataFacts]:
    """The dataset at ``revision``, by default its newest commit. Raises as ``model_facts``."""
    access = configured_access()
    hub.check_repo_id(repo_id)
    return _pages.get(
        (repo_id, revision),
        access,
        lambda: _ask(repo_id, revision, access),
        anew=anew,
        is_whole=lambda facts: facts.is_complete,
    )


def _ask(repo_id: str, revision: str, access: hub.Access) -> DataFacts:
    """One request for the repository, then the others at once."""
    repository = hub.data_repository(repo_id, revision or None, access)
    brought = ask_at_once(
        {
            "revisions": lambda: hub.revisions(repo_id, access, "dataset"),
            "card": lambda: _card(repository, access),
        }
    )
    return DataFacts(
        repository, **brought.parts, problems=brought.problems, is_complete=brought.is_complete
    )


def _card(repository: hub.DataRepository, access: hub.Access) -> Card | None:
    if not repository.has_card:
        return None
    repo_id, commit = repository.dataset.repo_id, repository.commit
    answer = hub.small_file(
        repo_id, commit, _CARD, access, at_most=MAX_CARD_BYTES, repo_type="dataset"
    )
    base = f"{access.endpoint}/datasets/{repo_id}/blob/{commit}/"
    return card_of(answer.body, base=base, is_whole=answer.is_whole)
