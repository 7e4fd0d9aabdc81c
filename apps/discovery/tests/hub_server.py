"""A small Hugging Face Hub on the loopback, for the real client library.

It speaks the part of the wire format that a download uses: a repository's
listing, files with ranges, large files redirected to another host, refusals
with ``X-Error-Code`` and ``X-Error-Message``.

    with HubServer() as hub:
        hub.add("acme/tiny", {"config.json": b"{}"})
        hub.gate("acme/tiny", status=403, message="...")
        with hub.cut_off("model.safetensors", after=1000): ...

Written after https://huggingface.co/docs/hub/api and the answers that
huggingface_hub's own tests and ``hf_raise_for_status`` expect.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 20_000
"""Bytes from which a file counts as one kept in LFS, and is served by the other host."""

_INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<revision>.+))?")
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
_BLOB = re.compile(r"/blobs/(?P<checksum>[0-9a-f]{64})/(?P<name>.+)")


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    host: str
    token: str | None


@dataclass
class Repo:
    files: dict[str, bytes]
    commit: str
    gate: tuple[int, str] | None = None


@dataclass
class HubServer:
    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)
    served: list[tuple[str, int]] = field(default_factory=list)
    """Name and first byte of every content sent, in order."""
    broken_info: tuple[int, bytes] | None = None
    """Status and body to answer every listing with."""
    rejected_token: str | None = None
    cut: dict[str, int] = field(default_factory=dict)
    """Files whose body ends after so many bytes, without a farewell."""
    hold: dict[str, tuple[int, threading.Event]] = field(default_factory=dict)
    """Files whose body pauses after so many bytes until the event is set."""
    forged: dict[str, bytes] = field(default_factory=dict)
    """Files that are served with another content than listed."""

    def __enter__(self) -> HubServer:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
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

    def add(self, repo_id: str, files: dict[str, bytes]) -> Repo:
        """A repository whose commit follows from its contents."""
        content = b"".join(name.encode() + files[name] for name in sorted(files))
        self.repos[repo_id] = Repo(files, hashlib.sha1(content).hexdigest())
        return self.repos[repo_id]

    def gate(self, repo_id: str, *, status: int, message: str) -> None:
        self.repos[repo_id].gate = (status, message)

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


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        server_state = hub

    return Handler


class _Handler(BaseHTTPRequestHandler):
    server_state: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the tests read ``requests``."""

    def do_GET(self) -> None:
        hub, path = self.server_state, unquote(urlsplit(self.path).path)
        token = self.headers.get("Authorization")
        seen = Seen("GET", path, self.headers["Host"], token)
        hub.requests.append(seen)
        if token and token == f"Bearer {hub.rejected_token}":
            self._refuse(401, None, "Invalid credentials in Authorization header")
        elif found := _INFO.fullmatch(path):
            self._info(found["repo"], found["revision"])
        elif found := _FILE.fullmatch(path):
            self._file(found["repo"], found["revision"], found["name"])
        elif found := _BLOB.fullmatch(path):
            self._blob(found["checksum"], found["name"])
        else:
            self._refuse(404, None, "Not found")

    def _info(self, repo_id: str, revision: str | None) -> None:
        hub = self.server_state
        if hub.broken_info:
            status, body = hub.broken_info
            self._send(status, body, {"Content-Type": "text/html"})
            return
        repo = hub.repos.get(repo_id)
        if repo is None:
            self._refuse(401, "RepoNotFound", "Invalid username or password.")
        elif revision not in (None, "main", repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            siblings = [_sibling(name, content) for name, content in repo.files.items()]
            answer = {
                "id": repo_id,
                "sha": repo.commit,
                "private": False,
                "gated": "auto" if repo.gate else False,
                "siblings": siblings,
            }
            self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _file(self, repo_id: str, revision: str, name: str) -> None:
        repo = self.server_state.repos.get(repo_id)
        if repo is None:
            self._refuse(401, "RepoNotFound", "Invalid username or password.")
        elif repo.gate:
            self._refuse(repo.gate[0], "GatedRepo", repo.gate[1])
        elif revision != repo.commit or name not in repo.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        elif len(content := repo.files[name]) >= LARGE:
            location = f"{self.server_state.other_host}/blobs/{_sha256(content)}/{name}"
            self._send(302, b"", {"Location": location, "X-Repo-Commit": repo.commit})
        else:
            headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{_git_sha1(content)}"'}
            self._content(name, content, headers)

    def _blob(self, checksum: str, name: str) -> None:
        for repo in self.server_state.repos.values():
            for content in repo.files.values():
                if _sha256(content) == checksum:
                    self._content(name, content, {"ETag": f'"{checksum}"'})
                    return
        self._refuse(404, None, "Not found")

    def _content(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        hub = self.server_state
        content = hub.forged.get(name, content)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start, status = 0, 200
        if asked:
            start, status = int(asked[1]), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        hub.served.append((name, start))
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if name in hub.cut:
            self.wfile.write(content[start : hub.cut[name]])
        elif name in hub.hold:
            after, released = hub.hold[name]
            self.wfile.write(content[start:after])
            self.wfile.flush()
            released.wait(30)
        else:
            self.wfile.write(content[start:])
        self.close_connection = True

    def _refuse(self, status: int, code: str | None, message: str) -> None:
        headers = {"X-Error-Message": message}
        if code:
            headers["X-Error-Code"] = code
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": _git_sha1(content)}
    if len(content) >= LARGE:
        entry["lfs"] = {"sha256": _sha256(content), "size": len(content), "pointerSize": 135}
    return entry


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
