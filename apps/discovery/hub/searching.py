"""The hub's list of models: GET /api/models.

Written after https://huggingface.co/docs/hub/api and ``HfApi.list_models``, which
takes no time-out and follows a next page's address wherever that leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from apps.discovery.hub.access import Access
from apps.discovery.hub.failures import explained
from apps.discovery.hub.fetching import fetch_json, not_the_hub
from apps.discovery.listing import ListedModel, listed

Sort = Literal["trendingScore", "downloads", "likes", "createdAt"]

_EXPAND = [
    *("cardData", "config", "createdAt", "downloads", "gated", "gguf", "lastModified"),
    *("library_name", "likes", "pipeline_tag", "private", "safetensors", "tags"),
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


def search(query: Query, access: Access, cursor: str = "") -> Listing:
    """The models that ``query`` finds, from ``cursor`` on.

    Raises HubUnreachable or AccessRefused.
    """
    params: dict[str, Any] = {"sort": query.sort, "limit": query.limit, "expand": _EXPAND}
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
    with explained("The list of models", access):
        items, next_url = fetch_json(f"{access.endpoint}/api/models", access, params=params)
    if not isinstance(items, list):
        raise not_the_hub(access)
    models = tuple(model for item in items if (model := listed(item)) is not None)
    if items and not models:
        raise not_the_hub(access)
    return Listing(models, _cursor(next_url))


def _cursor(next_url: str | None) -> str:
    """Of the next page's address nothing else is used: it is no place to send a token to."""
    found = parse_qs(urlsplit(next_url or "").query).get("cursor", [""])[0]
    return found if len(found) <= MAX_CURSOR else ""
