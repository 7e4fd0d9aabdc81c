"""Calls of the hub's REST API, and what their failures mean to a command."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import httpx2

from mlxhub_site.commands.hub.wording import in_commands
from mlxhub_site.commands.outcome import BadUsage, CommandFailed, Unreachable, failure_of

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
"""For what a route answers at once; Hugging Face may be asked for it first."""

SILENCE_SECONDS = 600.0
"""Between two parts of a stream; loading a large model is the longest."""

ABSENCE_SECONDS = 60.0
"""What a hub that is looked at may be away: it restarts, a laptop finds its network again."""

RETRY_SECONDS = 1.0

JSON = {"Content-Type": "application/json"}

LONGEST_EXCERPT = 200
"""Characters shown of an answer that is not the hub's."""


class HubClient:
    """One hub. A context manager: leaving it closes its connections.

    Answers come as parsed JSON. Raises CommandFailed and its kinds, with the hub's own words.
    """

    def __init__(
        self,
        transport: httpx2.BaseTransport,
        *,
        url: str = "https://127.0.0.1",
        key: str | None = None,
        is_remote: bool = False,
    ) -> None:
        self.is_remote = is_remote
        self.url = url
        self._http = httpx2.Client(
            transport=transport,
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """What is at ``path``; parameters that are None are left out."""
        return self._call("GET", path, query=query)

    def look(self, path: str, **query: Any) -> Any:
        """As ``get``, for what is watched: another hub may be away for a while meanwhile."""
        deadline = time.monotonic() + ABSENCE_SECONDS
        while True:
            try:
                return self.get(path, **query)
            except Unreachable:
                if not self.is_remote or time.monotonic() > deadline:
                    raise
            time.sleep(RETRY_SECONDS)

    def post(
        self, path: str, body: Any = None, *, patience: float = ANSWER_SECONDS, **query: Any
    ) -> Any:
        """``patience``: seconds of silence that the route may need."""
        return self._call("POST", path, body=body, query=query, patience=patience)

    def patch(self, path: str, body: Any) -> Any:
        return self._call("PATCH", path, body=body)

    def delete(self, path: str) -> Any:
        return self._call("DELETE", path)

    def put_bytes(self, path: str, content: bytes, **query: Any) -> Any:
        """Send a piece of a file."""
        return self._call("PUT", path, content=content, query=query)

    def save(self, path: str, to: BinaryIO, **query: Any) -> None:
        """Write the file that is at ``path`` to ``to``, piece by piece."""
        timeout = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        known = _known(query)
        with (
            self._translated(),
            self._http.stream("GET", path, params=known, timeout=timeout) as response,
        ):
            if response.status_code != httpx2.codes.OK:
                response.read()
                raise _failure(response)
            for piece in response.iter_bytes():
                to.write(piece)

    def health(self) -> Any:
        """What /admin/health says, also where it says that the hub is down."""
        return self._call("GET", "/admin/health", accept=httpx2.codes.SERVICE_UNAVAILABLE)

    @contextmanager
    def events(
        self, path: str, body: Any, *, on_comment: Callable[[str], None] = lambda _: None
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """The data of each server-sent event; leaving the block ends the call in the hub.

        ``on_comment`` gets what the stream says beside, such as ``prefill 512/2000``.
        """
        content = _encoded(body)
        timeout = httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        with (
            self._translated(),
            self._http.stream(
                "POST", path, content=content, headers=JSON, timeout=timeout
            ) as response,
        ):
            if response.status_code != httpx2.codes.OK:
                response.read()
                raise _failure(response)
            yield _events(response, on_comment)

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: bytes | None = None,
        query: Any = None,
        accept: int = 0,
        patience: float = ANSWER_SECONDS,
    ) -> Any:
        headers = None
        if body is not None:
            content, headers = _encoded(body), JSON
        known = _known(query or {})
        timeout = httpx2.Timeout(patience, connect=CONNECT_SECONDS)
        with self._translated():
            response = self._http.request(
                method, path, content=content, headers=headers, params=known, timeout=timeout
            )
        if not (response.is_success or response.status_code == accept):
            raise _failure(response)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise _foreign(response) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx2.ConnectError as error:
            raise Unreachable(
                f"No hub answers at {self.url}: {error}. Check the address, and that the hub runs "
                "there with `mlx-hub up --host ADDRESS`."
            ) from error
        except httpx2.TimeoutException as error:
            raise Unreachable(
                f"The hub at {self.url} gave no answer in time. `mlx-hub status` tells whether it "
                "is busy."
            ) from error
        except httpx2.HTTPError as error:
            raise Unreachable(
                f"The connection to the hub at {self.url} broke: {error}. Try again."
            ) from error


def _encoded(body: Any) -> bytes:
    """Raises BadUsage for what JSON has no way to write."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise BadUsage("What was typed is no text in UTF-8.") from error
    except ValueError as error:
        raise BadUsage("NaN and infinity are no values for a hub. Give a number.") from error


def _known(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def segment(name: object) -> str:
    """A name as one segment of a path. Raises BadUsage for what would leave the path."""
    if name in ("", ".", ".."):
        raise BadUsage(f"{name!r} is no name.")
    return quote(str(name), safe="")


def _events(
    response: httpx2.Response, on_comment: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html, one line of data each."""
    for line in response.iter_lines():
        field, _, value = line.partition(":")
        if line and not field:
            on_comment(value.strip())
        if field != "data" or value.strip() == "[DONE]":
            continue
        try:
            event = json.loads(value)
        except ValueError as error:
            raise _foreign(response) from error
        if "error" in event:
            raise CommandFailed(_message(event) or "The answer ended with an error.")
        yield event


def _failure(response: httpx2.Response) -> CommandFailed:
    try:
        message = _message(response.json())
    except ValueError:
        message = None
    return failure_of(response.status_code, message) if message else _foreign(response)


def _message(answer: Any) -> str | None:
    """The message of an error in OpenAI's shape, in a terminal's terms."""
    error = answer.get("error") if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return in_commands(message) if isinstance(message, str) else None


def _foreign(response: httpx2.Response) -> CommandFailed:
    excerpt = " ".join(response.text.split())[:LONGEST_EXCERPT] if response.is_closed else ""
    return Unreachable(
        f"{response.url.host} answered {response.status_code}, but not as a hub does"
        f"{f': {excerpt}' if excerpt else ''}. Check the address; a proxy before the hub may want "
        "something of its own."
    )
