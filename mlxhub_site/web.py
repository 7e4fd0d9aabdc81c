"""The web process: ``python -m mlxhub_site.web APPLICATION [--fd N]``.

It listens on a socket that it inherits from the supervisor, or on one of its own. Told to
end it takes no more connections and finishes what it is at: within a limit where the hub
stops (SIGTERM, SIGINT), and for as long as that takes where another process has taken over
(SIGUSR1). An answer that is not finished by the limit ends with an event that says why.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from mlxhub_site.connections import KEEP_ALIVE_SECONDS, HubConnection
from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.settings import HUB

logger = logging.getLogger(__name__)

LINGER = 1.0
"""Seconds in which an idle connection may still bring a request, which is its last."""

TAKEN_OVER = 3600.0
"""Seconds that a process has for its answers once another one does all that is new."""

CLOSING = 2.0
"""Seconds for the last events of answers that were cut short."""

LOOK = 0.05
"""Seconds between two looks at what is still open."""

_LIMITS = {
    signal.SIGTERM: HUB.drain_seconds,
    signal.SIGINT: HUB.drain_seconds,
    signal.SIGUSR1: TAKEN_OVER,
}


class LastAnswers:
    """While the process ends: the last answer on every connection, and not ready for more."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.ending = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_last(message: Any) -> None:
            if self.ending and message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        if self.ending and scope["type"] == "http" and scope["path"] == "/healthz/ready":
            await send_last({"type": "http.response.start", "status": 503, "headers": []})
            await send_last({"type": "http.response.body", "body": b"stopping\n"})
            return
        await self._application(scope, receive, send_last)


class WebServer(uvicorn.Server):
    """Uvicorn, but for its end."""

    def __init__(self, config: uvicorn.Config, application: LastAnswers) -> None:
        super().__init__(config)
        self._application = application
        self._deadline = float("inf")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _say_that_it_listens()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, which raises them again at the end: an end that was asked for is status 0."""
        loop = asyncio.get_running_loop()
        for number, seconds in _LIMITS.items():
            loop.add_signal_handler(number, self.end_within, seconds)
        try:
            yield
        finally:
            for number in _LIMITS:
                loop.remove_signal_handler(number)

    def end_within(self, seconds: float) -> None:
        """Begin to end; a shorter limit takes the place of a longer one."""
        self._deadline = min(self._deadline, time.monotonic() + seconds)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logger.info("taking no more connections")
        self._application.ending = True
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        await self._until(self._is_idle, time.monotonic() + LINGER)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if not await self._until(self._is_done):
            logger.warning("%d answers are cut short", await asyncio.to_thread(_cut_short))
            _end_open_calls()
            self._deadline = time.monotonic() + CLOSING
            await self._until(self._is_done)
            for task in self.server_state.tasks:
                task.cancel()
        await self.lifespan.shutdown()

    async def _until(self, condition: Callable[[], bool], limit: float | None = None) -> bool:
        """Whether it came true before ``limit``, by default the deadline, which may come nearer."""
        while not condition():
            if time.monotonic() >= min(self._deadline, limit or self._deadline):
                return False
            await asyncio.sleep(LOOK)
        return True

    def _is_idle(self) -> bool:
        return not self.server_state.connections

    def _is_done(self) -> bool:
        return not self.server_state.connections and not _unfinished()


def _unfinished() -> int:
    from apps.playground import answers

    return len(answers.unfinished())


def _cut_short() -> int:
    """End the answers of pages, and wait until what there is of them is stored."""
    from apps.playground import answers

    running = answers.unfinished()
    for answer in running:
        answer.stop(interrupted="The hub was stopped before the answer was finished.")
    deadline = time.monotonic() + CLOSING
    for answer in running:
        answer.wait(max(0.0, deadline - time.monotonic()))
    return len(running)


def _end_open_calls() -> None:
    from apps.inference.open_calls import end_open_calls

    end_open_calls()


def _say_that_it_listens() -> None:
    staged = HUB.web_pid_file.with_suffix(f".{os.getpid()}")
    staged.write_text(str(os.getpid()))
    staged.replace(HUB.web_pid_file)


def config_of(hub: HubSettings, application: Any) -> uvicorn.Config:
    """How uvicorn serves ``application``."""
    return uvicorn.Config(
        application,
        host=hub.host,
        port=hub.port,
        log_config=None,
        log_level=hub.log_level,
        access_log=hub.debug,
        lifespan="off",
        http=HubConnection,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        # The hub has none; Django would answer a handshake with a traceback in the log.
        ws="none",
        server_header=False,
        # What a caller writes into forwarding headers is believed of the named proxies
        # alone. Of all others the hub goes by the real peer address.
        proxy_headers=bool(hub.trusted_proxies),
        forwarded_allow_ips=list(hub.trusted_proxies),
        ssl_certfile=hub.tls_cert,
        ssl_keyfile=hub.tls_key,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlxhub_site.web")
    parser.add_argument("application", help="MODULE:NAME")
    parser.add_argument("--fd", type=int, help="a socket that listens, inherited")
    options = parser.parse_args()
    application = LastAnswers(uvicorn.importer.import_from_string(options.application))
    server = WebServer(config_of(HUB, application), application)
    server.run([socket.socket(fileno=options.fd)] if options.fd is not None else None)


if __name__ == "__main__":
    main()
