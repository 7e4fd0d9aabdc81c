"""The hub's lists of models and datasets and a repository's revisions, on the loopback.

    catalogue = Catalogue(hub_server)
    catalogue.add("acme/Tiny-4bit", tags=["mlx"], downloads=5)

It searches, filters, sorts and turns pages as https://huggingface.co/docs/hub/api
says: words in the id, every ``filter`` a tag that must be there, ``Link`` with a
cursor. Every repository of the server is in the list, with its facts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from apps.discovery.tests.hub_repos import Repo
from apps.discovery.tests.hub_server import Exchange, HubServer

_LIST = re.compile(r"/api/(?P<kind>models|datasets)")
_REFS = re.compile(r"/api/(?P<kind>models|datasets)/(?P<repo>[^/]+/[^/]+)/refs")
_DATASETS = "datasets/"


@dataclass
class Catalogue:
    server: HubServer
    broken: bytes | None = None
    """Body to answer every search with."""
    status: int = 200
    refs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of repositories that have other revisions than main."""
    next_host: str = ""
    """Where the next page is said to be; empty: here."""

    def __post_init__(self) -> None:
        self.server.routes += [(_LIST, self._list), (_REFS, self._refs)]

    def add(self, repo_id: str, files: dict[str, bytes] | None = None, **facts: Any) -> Repo:
        """A repository as search finds it; its facts are as the hub spells them."""
        return self.server.add(repo_id, {} if files is None else files, **facts)

    @property
    def searches(self) -> list[dict[str, list[str]]]:
        """The queries of the searches so far."""
        return [seen.query for seen in self.server.requests if seen.path == "/api/models"]

    def _list(self, exchange: Exchange, asked: re.Match[str]) -> None:
        if self.broken is not None or self.status != 200:
            exchange.send(self.status, self.broken or b"", {"Content-Type": "application/json"})
            return
        found = self._found(asked["kind"], exchange.query)
        limit = int(_first(exchange.query, "limit") or 1000)
        cursor = _first(exchange.query, "cursor") or "0"
        if not (cursor.isascii() and cursor.isdecimal()):
            exchange.refuse(400, None, "Invalid cursor")
            return
        start = int(cursor)
        headers = {}
        if start + limit < len(found):
            query = urlencode({**exchange.query, "cursor": [start + limit]}, doseq=True)
            host = self.next_host or self.server.endpoint
            headers["Link"] = f'<{host}{asked[0]}?{query}>; rel="next"'
        expand = exchange.query.get("expand")
        exchange.json([_item(each, expand) for each in found[start : start + limit]], headers)

    def _found(self, kind: str, query: dict[str, list[str]]) -> list[tuple[str, Repo]]:
        words, gated = _first(query, "search").lower(), _first(query, "gated")
        task, sort = _first(query, "pipeline_tag"), _first(query, "sort")
        tags = set(query.get("filter", []))
        found = [
            (repo_id.removeprefix(_DATASETS), repo)
            for repo_id, repo in self.server.repos.items()
            if repo_id.startswith(_DATASETS) == (kind == "datasets")
            and words in repo_id.removeprefix(_DATASETS).lower()
            and tags <= set(repo.facts.get("tags", ()))
            and task in ("", repo.facts.get("pipeline_tag"))
            and gated in ("", str(bool(repo.gate or repo.facts.get("gated"))).lower())
        ]
        return sorted(found, key=lambda each: each[1].facts.get(sort, 0), reverse=True)

    def _refs(self, exchange: Exchange, asked: re.Match[str]) -> None:
        prefix = _DATASETS if asked["kind"] == "datasets" else ""
        repo = exchange.visible(prefix + asked["repo"])
        if repo is None:
            return
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commit}
        refs = {"branches": [main], "tags": [], "converts": []}
        exchange.json(refs | self.refs.get(prefix + asked["repo"], {}))


def _item(found: tuple[str, Repo], expand: list[str] | None) -> dict[str, Any]:
    repo_id, repo = found
    facts = {"gated": "auto" if repo.gate else False, "private": False, **repo.facts}
    shown = facts if expand is None else {key: facts[key] for key in expand if key in facts}
    return {"_id": "6".zfill(24), "id": repo_id, "modelId": repo_id, **shown}


def _first(query: dict[str, list[str]], name: str) -> str:
    return query.get(name, [""])[0]
