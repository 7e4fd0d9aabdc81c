"""The hub's lists of models and of datasets: GET /api/models and /api/datasets.

Written after https://huggingface.co/docs/hub/api and ``HfApi.list_models``, which
takes no time-out and follows a next page's address wherever that leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from apps.discovery.data.listing import ListedDataset, listed_dataset
from apps.discovery.hub.access import Access
from apps.discovery.hub.failures import explained
from apps.discovery.hub.fetching import fetch_json, not_the_hub
from apps.discovery.listing import ListedModel, listed
from apps.discovery.snapshot import RepoType

Sort = Literal["trendingScore", "downloads", "likes", "createdAt"]

_EXPAND = [
    *("cardData", "config", "createdAt", "downloads", "gated", "gguf", "lastModified"),
    *("library_name", "likes", "pipeline_tag", "private", "safetensors", "tags"),
]
_EXPAND_DATASET = [
    *("createdAt", "description", "downloads", "gated", "lastModified", "likes", "mainSize"),
    *("private", "tags"),
]
MAX_CURSOR = 2000
"""Characters."""


@dataclass(frozen=True)
class Query:
    """What the hub itself can look for."""

    search: str = ""
    """Words of the repository's id."""
    filters: tuple[str, ...] = ()
    """Tags that all must be there, such as "mlx", "qwen2" or "license:mit"."""
    task: str = ""
    gated: bool | None = None
    sort: Sort = "trendingScore"
    limit: int = 30


@dataclass(frozen=True)
class Listing:
    """One page of the hub's answer."""

    models: tuple[ListedModel, ...]
    cursor: str
    """Where the next page begins; empty on the last one."""


@dataclass(frozen=True)
class DatasetListing:
    """One page of datasets."""

    datasets: tuple[ListedDataset, ...]
    cursor: str
    """Where the next page begins; empty on the last one."""


def search(query: Query, access: Access, cursor: str = "") -> Listing:
    """The models that ``query`` finds, from ``cursor`` on.

    Raises HubUnreachable or AccessRefused.
    """
    items, next_cursor = _page("model", _EXPAND, query, access, cursor)
    models = tuple(model for item in items if (model := listed(item)) is not None)
    if items and not models:
        raise not_the_hub(access)
    return Listing(models, next_cursor)


def search_datasets(query: Query, access: Access, cursor: str = "") -> DatasetListing:
    """The datasets that ``query`` finds, from ``cursor`` on. Raises as ``search`` does."""
    items, next_cursor = _page("dataset", _EXPAND_DATASET, query, access, cursor)
    datasets = tuple(each for item in items if (each := listed_dataset(item)) is not None)
    if items and not datasets:
        raise not_the_hub(access)
    return DatasetListing(datasets, next_cursor)


def _page(
    repo_type: RepoType, expand: list[str], query: Query, access: Access, cursor: str
) -> tuple[list[object], str]:
    """The items of one page, and where the next one begins."""
    params: dict[str, Any] = {"sort": query.sort, "limit": query.limit, "expand": expand}
    if query.search:
        params["search"] = query.search
    if query.filters:
        params["filter"] = list(query.filters)
    if query.task:
        params["pipeline_tag"] = query.task
    if query.gated is not None:
        params["gated"] = query.gated
    if cursor:
        params["cursor"] = cursor[:MAX_CURSOR]
    with explained(f"The list of {repo_type}s", access):
        items, next_url = fetch_json(f"{access.endpoint}/api/{repo_type}s", access, params=params)
    if not isinstance(items, list):
        raise not_the_hub(access)
    return items, _cursor(next_url)


def _cursor(next_url: str | None) -> str:
    """Of the next page's address nothing else is used: it is no place to send a token to."""
    found = parse_qs(urlsplit(next_url or "").query).get("cursor", [""])[0]
    return found if len(found) <= MAX_CURSOR else ""
