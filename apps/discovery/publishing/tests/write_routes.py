"""What of the hub's API takes files: repositories, large files, commits.

https://huggingface.co/docs/hub/api and https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from apps.discovery.tests.hub_repos import LARGE, Repo
from apps.discovery.tests.hub_server import Exchange, HubServer

WRITER = "hf_writer"


@dataclass
class Writing:
    """The hub's side of it. ``large`` holds what was uploaded, by checksum."""

    hub: HubServer
    large: dict[str, bytes] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    """Checksums of the large files that were sent, as often as they were."""
    created: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hub.routes += [
            (re.compile(r"/api/repos/create"), self._create),
            (re.compile(r"/api/validate-yaml"), self._validate),
            (re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)/preupload/main"), self._preupload),
            (re.compile(r"/(?P<id>[^/]+/[^/]+)\.git/info/lfs/objects/batch"), self._batch),
            (re.compile(r"/lfs/(?P<oid>[0-9a-f]{64})"), self._put),
            (re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)/commit/main"), self._commit),
        ]

    def _create(self, exchange: Exchange, found: re.Match[str]) -> None:
        asked = _body(exchange)
        if not _may_write(exchange):
            return
        repo_id = f"{asked['organization']}/{asked['name']}"
        if repo_id in self.hub.repos:
            exchange.refuse(409, None, "You already created this model repo")
            return
        self.created[repo_id] = asked
        self.hub.repos[repo_id] = Repo({}, "0" * 40)
        exchange.json({"url": f"{self.hub.endpoint}/{repo_id}", "name": repo_id})

    def _validate(self, exchange: Exchange, found: re.Match[str]) -> None:
        asked = _body(exchange)
        assert asked["content"].startswith("---\n")
        exchange.json({"errors": [], "warnings": []})

    def _preupload(self, exchange: Exchange, found: re.Match[str]) -> None:
        asked = _body(exchange)
        if not _may_write(exchange) or exchange.visible(found["id"]) is None:
            return
        modes = [
            {
                "path": each["path"],
                "uploadMode": "lfs" if each["size"] >= LARGE else "regular",
                "shouldIgnore": False,
            }
            for each in asked["files"]
        ]
        exchange.json({"files": modes})

    def _batch(self, exchange: Exchange, found: re.Match[str]) -> None:
        asked = _body(exchange)
        objects = []
        for each in asked["objects"]:
            answer: dict[str, Any] = {"oid": each["oid"], "size": each["size"]}
            if each["oid"] not in self.large:
                href = f"{self.hub.endpoint}/lfs/{each['oid']}"
                answer["actions"] = {"upload": {"href": href}}
            objects.append(answer)
        exchange.json({"transfer": "basic", "objects": objects})

    def _put(self, exchange: Exchange, found: re.Match[str]) -> None:
        content = exchange.rfile.read(int(exchange.headers["Content-Length"]))
        if hashlib.sha256(content).hexdigest() != found["oid"]:
            exchange.close_connection = True  # the sender went away in the middle
            return
        self.puts.append(found["oid"])
        self.large[found["oid"]] = content
        exchange.send(200, b"", {})

    def _commit(self, exchange: Exchange, found: re.Match[str]) -> None:
        lines = [json.loads(line) for line in _read(exchange).splitlines()]
        files = self.hub.repos[found["id"]].files
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]
        url = f"{self.hub.endpoint}/{found['id']}/commit/{'1' * 40}"
        exchange.json({"commitUrl": url, "commitOid": "1" * 40, "hookOutput": ""})


def _may_write(exchange: Exchange) -> bool:
    if exchange.token == WRITER:
        return True
    exchange.refuse(403 if exchange.token else 401, None, "You don't have the rights")
    return False


def _read(exchange: Exchange) -> bytes:
    if length := exchange.headers.get("Content-Length"):
        return exchange.rfile.read(int(length))
    content = b""
    while size := int(exchange.rfile.readline(), 16):
        content += exchange.rfile.read(size)
        exchange.rfile.readline()
    exchange.rfile.readline()
    return content


def _body(exchange: Exchange) -> Any:
    return json.loads(_read(exchange))
