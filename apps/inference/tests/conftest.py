"""The small cast of these tests: a second model, a caller, and a hub that serves real HTTP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Collection, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import uvicorn
from asgiref.sync import async_to_sync
from django.core.asgi import get_asgi_application
from django.test import AsyncClient

from apps.inference.api.lifetime import RequestLifetimes
from apps.inference.models import WarmPrompt
from apps.models.models import Adapter, LocalModel
from tests.fake_engine import PATIENCE, FakeEngine
from tests.hub_process import until
from tests.registry import make_model


@pytest.fixture
def qwen(tiny: LocalModel) -> LocalModel:
    """A second model, from a hub repository."""
    return make_model("qwen", repo_id="acme/Qwen-Test", source=LocalModel.Source.HUB)


@pytest.fixture
def pirate(tiny: LocalModel) -> Adapter:
    """An adapter over the first model."""
    return Adapter.objects.create(
        base=tiny, slug="pirate", name="Pirate", path="/adapters/pirate", digest="digest-pirate"
    )


# --- in this process ----------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def data(self) -> list[Any]:
        """The ``data:`` lines of an event stream, decoded; ``[DONE]`` as it stands."""
        lines = self.content.decode().split("\n\n")
        values = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        return [value if value == "[DONE]" else json.loads(value) for value in values]


class _Client(AsyncClient):
    """Django's client, with whichever Host a test names in place of its fixed one."""

    async def request(self, **request: Any) -> Any:
        return await super().request(
            **request | {"headers": list(dict(request["headers"]).items())}
        )


class Caller:
    """Sends requests through the ASGI handler, streams read to their end, as requests with a
    lifetime: what is settled at their end is settled when the call returns.

    One ``async_to_sync`` around the whole exchange keeps database work on the
    test's own thread, and with it inside the test's transaction.
    """

    def __init__(self) -> None:
        self._client = _Client(raise_request_exception=False)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        # The marks that a request's log lines have end with it, as with a server.
        asked = partial(async_to_sync(self._request), method, path, body, headers)
        return copy_context().run(asked)

    async def _request(self, *request: Any) -> Answer:
        answers: list[Answer] = []

        async def application(*_: Any) -> None:
            answers.append(await self._exchange(*request))

        await RequestLifetimes(application)({}, None, None)
        return answers[0]

    async def _exchange(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await self._client.generic(
            method,
            path,
            b"" if body is None else data,
            content_type="application/json",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        if response.streaming:
            content = b"".join([part async for part in response.streaming_content])
        else:
            content = response.content
        return Answer(response.status_code, response.headers, content)


@pytest.fixture
def call() -> Caller:
    return Caller()


# --- over a socket ------------------------------------------------------------


@dataclass(frozen=True)
class Hub:
    """A hub that listens."""

    host: str
    port: int
    requests: Collection[object] = ()
    """Those that it serves just now."""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@pytest.fixture(scope="session")
def served(uncollected_static_files: None) -> Iterator[Hub]:
    """The whole ASGI application under the real server, in a thread of this process."""
    listener = socket.create_server(("127.0.0.1", 0))
    application = RequestLifetimes(get_asgi_application())
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    host, port = listener.getsockname()
    yield Hub(host, port, server.server_state.tasks)
    server.should_exit = True
    thread.join(PATIENCE)
    listener.close()


@pytest.fixture
def hub(served: Hub, transactional_db: None, fake_engine: FakeEngine) -> Iterator[Hub]:
    """A serving hub over the fake engine. It sees rows, because they are committed."""
    yield served
    # What is written at the end of a request is of this test, and not of the next one.
    until(lambda: not served.requests)


@pytest.fixture
def brief(tiny: LocalModel) -> WarmPrompt:
    return WarmPrompt.objects.create(name="brief", model=tiny, system_prompt="Be brief.")


@pytest.fixture
def kind(tiny: LocalModel) -> WarmPrompt:
    return WarmPrompt.objects.create(name="kind", model=tiny, system_prompt="Be kind.")
