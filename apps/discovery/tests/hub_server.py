"""A small Hugging Face Hub on the loopback, for the real client library.

It speaks the wire format of what the hub uses of it: a repository's information and
tree, files with ranges, large files redirected to another host with their LFS and Xet
headers, refusals with ``X-Error-Code`` and ``X-Error-Message``; and it misbehaves on
demand: slow, broken off, damaged, busy.

    with HubServer() as hub:
        hub.add("acme/tiny", {"config.json": b"{}"})
        hub.add("datasets/acme/rows", {"train.jsonl": b"{}"})
        hub.branch("datasets/acme/rows", "refs/convert/parquet", {"default/train/0000.parquet": b""})
        hub.gate("acme/tiny", status=403, message="...")
        hub.fail("config.json", Failure(429, {"Retry-After": "1"}))
        with hub.cut_off("model.safetensors", after=1000): ...

Other modules add addresses of their own: ``hub.routes`` holds patterns and functions
that take the ``Exchange`` and the match.

Written after https://huggingface.co/docs/hub/api and the answers that
huggingface_hub's own tests, ``hf_raise_for_status`` and ``get_hf_file_metadata`` expect.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from apps.discovery.tests.hub_repos import (
    LARGE,
    Repo,
    git_sha1,
    repo_of,
    sha256,
    sibling,
    tree_entry,
)

THROTTLED_PIECE = 2_000
"""Bytes that a slow answer sends at once."""

_NAMED = r"/api/(?P<kind>models|datasets)/(?P<id>[^/]+/[^/]+)"
_INFO = re.compile(rf"{_NAMED}(?:/revision/(?P<revision>.+))?")
_TREE = re.compile(rf"{_NAMED}/tree/(?P<revision>[^/]+)")
_FILE = re.compile(r"/(?P<repo>(?:datasets/)?[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
_BLOB = re.compile(r"/blobs/(?P<checksum>[0-9a-f]{64})/(?P<name>.+)")


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    host: str
    token: str | None
    query: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An answer instead of a file's content."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


Route = tuple[re.Pattern[str], Callable[["Exchange", "re.Match[str]"], None]]


@dataclass
class HubServer:
    repos: dict[str, Repo] = field(default_factory=dict)
    """Models as ``owner/name``, datasets as ``datasets/owner/name``."""
    routes: list[Route] = field(default_factory=list)
    requests: list[Seen] = field(default_factory=list)
    served: list[tuple[str, int]] = field(default_factory=list)
    """Name and first byte of every content sent, in order."""
    broken_info: tuple[int, bytes] | None = None
    """Status and body to answer every listing with."""
    rejected_token: str | None = None
    xet: bool = False
    """Whether large files are offered from Xet storage, as most of the hub's are."""
    cut: dict[str, int] = field(default_factory=dict)
    """Files whose body ends after so many bytes, without a farewell."""
    hold: dict[str, tuple[int, threading.Event]] = field(default_factory=dict)
    """Files whose body pauses after so many bytes until the event is set."""
    forged: dict[str, bytes] = field(default_factory=dict)
    """Files that are served with another content than listed."""
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    """What the next requests for these files are answered with, in order."""
    bytes_per_second: float | None = None
    """How fast each content is sent; None: as fast as it goes."""
    ranges: bool = True
    """Whether a request for a part of a file is answered with that part."""

    def __enter__(self) -> HubServer:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for _after, released in self.hold.values():
            released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def other_host(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def add(self, repo_id: str, files: dict[str, bytes], **facts: Any) -> Repo:
        """A repository whose commit follows from its contents."""
        self.repos[repo_id] = repo_of(files, facts)
        return self.repos[repo_id]

    def branch(self, repo_id: str, name: str, files: dict[str, bytes]) -> Repo:
        """A branch of a repository that is there, with contents of its own."""
        self.repos[repo_id].branches[name] = repo_of(files, {})
        return self.repos[repo_id].branches[name]

    def gate(self, repo_id: str, *, status: int, message: str) -> None:
        self.repos[repo_id].gate = (status, message)

    def fail(self, name: str, *failures: Failure) -> None:
        """Answer the next requests for a file with these."""
        self.failures.setdefault(name, []).extend(failures)

    @contextmanager
    def cut_off(self, name: str, *, after: int) -> Iterator[None]:
        self.cut[name] = after
        yield
        del self.cut[name]

    def fetched(self) -> list[str]:
        """Names of the files whose content was asked for, without repeats."""
        paths = [s.path for s in self.requests if "/resolve/" in s.path]
        return list(dict.fromkeys(path.rpartition("/")[2] for path in paths))

    def starts(self, name: str) -> list[int]:
        """The byte that each answer with content of ``name`` began at."""
        return [start for served, start in self.served if served == name]


def _handler(hub: HubServer) -> type[Exchange]:
    class Handler(Exchange):
        hub_server = hub

    return Handler


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    hub_server: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the tests read ``requests``."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.hub_server
        address = urlsplit(self.path)
        path = unquote(address.path)
        self.query = parse_qs(address.query)
        self.token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        header = self.headers.get("Authorization")
        hub.requests.append(Seen(self.command, path, self.headers["Host"], header, self.query))
        if self.token and self.token == hub.rejected_token:
            self.refuse(401, None, "Invalid credentials in Authorization header")
            return
        for pattern, answer in (*hub.routes, *_ROUTES):
            if found := pattern.fullmatch(path):
                answer(self, found)
                return
        self.refuse(404, None, "Not found")

    def visible(self, repo_id: str) -> Repo | None:
        """The repository, if this caller may know of it; else the answer is sent."""
        repo = self.hub_server.repos.get(repo_id)
        if repo is None or repo.private_to not in (None, self.token):
            self.refuse(401, "RepoNotFound", "Invalid username or password.")
            return None
        return repo

    def json(self, answer: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(answer).encode()
        self.send(200, body, {"Content-Type": "application/json", **(headers or {})})

    def refuse(self, status: int, code: str | None, message: str) -> None:
        headers = {"X-Error-Message": message}
        if code:
            headers["X-Error-Code"] = code
        self.send(status, json.dumps({"error": message}).encode(), headers)

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def content(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        """A file's bytes, from where the request wants them, as well or badly as the hub is set."""
        hub = self.hub_server
        if failures := hub.failures.get(name):
            failure = failures.pop(0)
            self.send(failure.status, b"", failure.headers)
            return
        content = hub.forged.get(name, content)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start, status = 0, 200
        if asked and hub.ranges:
            start, status = int(asked[1]), 206
            if start >= len(content):
                self.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.close_connection = True
        if self.command != "HEAD":
            hub.served.append((name, start))
            self._body(name, content, start)

    def _body(self, name: str, content: bytes, start: int) -> None:
        hub = self.hub_server
        if name in hub.cut:
            self._write(content[start : hub.cut[name]])
        elif name in hub.hold:
            after, released = hub.hold[name]
            self._write(content[start:after])
            self.wfile.flush()
            released.wait(30)
        else:
            self._write(content[start:])

    def _write(self, content: bytes) -> None:
        hub = self.hub_server
        try:
            if hub.bytes_per_second is None:
                self.wfile.write(content)
                return
            for at in range(0, len(content), THROTTLED_PIECE):
                if hub.stopped:
                    return
                self.wfile.write(content[at : at + THROTTLED_PIECE])
                time.sleep(THROTTLED_PIECE / hub.bytes_per_second)
        except (BrokenPipeError, ConnectionResetError):
            return  # the client went away, as killed ones do


def _info(exchange: Exchange, asked: re.Match[str]) -> None:
    hub = exchange.hub_server
    if hub.broken_info:
        status, body = hub.broken_info
        exchange.send(status, body, {"Content-Type": "text/html"})
        return
    repo = exchange.visible(_key(asked))
    if repo is None:
        return
    there = repo.at(asked["revision"])
    if there is None:
        exchange.refuse(404, "RevisionNotFound", f"Invalid rev id: {asked['revision']}")
        return
    with_sizes = "blobs" in exchange.query
    exchange.json(
        {
            "id": asked["id"],
            "sha": there.commit,
            "private": repo.private_to is not None,
            "gated": "auto" if repo.gate else False,
            "siblings": [
                sibling(name, content) if with_sizes else {"rfilename": name}
                for name, content in there.files.items()
            ],
            **repo.facts,
        }
    )


def _tree(exchange: Exchange, asked: re.Match[str]) -> None:
    repo = exchange.visible(_key(asked))
    if repo is None:
        return
    there = repo.at(asked["revision"])
    if there is None:
        exchange.refuse(404, "RevisionNotFound", f"Invalid rev id: {asked['revision']}")
        return
    exchange.json([tree_entry(name, content) for name, content in there.files.items()])


def _file(exchange: Exchange, asked: re.Match[str]) -> None:
    hub, name = exchange.hub_server, asked["name"]
    repo = exchange.visible(asked["repo"])
    if repo is None:
        return
    if repo.gate:
        exchange.refuse(repo.gate[0], "GatedRepo", repo.gate[1])
        return
    there = repo.at(asked["revision"])
    if there is None or name not in there.files:
        exchange.refuse(404, "EntryNotFound", "Entry not found")
        return
    content = there.files[name]
    headers = {"X-Repo-Commit": there.commit}
    if len(content) < LARGE:
        exchange.content(name, content, headers | {"ETag": f'"{git_sha1(content)}"'})
        return
    checksum = sha256(content)
    headers |= {
        "Location": f"{hub.other_host}/blobs/{checksum}/{name}",
        "X-Linked-ETag": f'"{checksum}"',
        "X-Linked-Size": str(len(content)),
    }
    if hub.xet:
        token = f"{hub.endpoint}/api/models/{asked['repo']}/xet-read-token/{repo.commit}"
        headers |= {"X-Xet-Hash": checksum, "Link": f'<{token}>; rel="xet-auth"'}
    exchange.send(302, b"", headers)


def _blob(exchange: Exchange, asked: re.Match[str]) -> None:
    main = list(exchange.hub_server.repos.values())
    for repo in main + [branch for each in main for branch in each.branches.values()]:
        for content in repo.files.values():
            if sha256(content) == asked["checksum"]:
                exchange.content(asked["name"], content, {"ETag": f'"{asked["checksum"]}"'})
                return
    exchange.refuse(404, None, "Not found")


_ROUTES: tuple[Route, ...] = ((_TREE, _tree), (_INFO, _info), (_FILE, _file), (_BLOB, _blob))


def _key(asked: re.Match[str]) -> str:
    """What a repository is called in ``HubServer.repos``."""
    return asked["id"] if asked["kind"] == "models" else f"datasets/{asked['id']}"


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
