"""Which hub a command is for.

``for_any_hub`` gives a command `--url` and `--api-key-env` beside its own options, and it
opens the hub with ``hub()``. One that is ``here_only`` says why where another hub is named,
also by MLXHUB_URL: it must not quietly do to this machine what was meant for that one.
"""

from __future__ import annotations

import inspect
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, ParamSpec
from urllib.parse import urlsplit

import httpx2
import typer

from mlxhub_site.commands.home import set_up_django
from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.hub.inprocess import InProcess
from mlxhub_site.commands.outcome import OUTDATED, BadUsage, CommandFailed, Refused

URL_VARIABLE = "MLXHUB_URL"
KEY_VARIABLE = "MLXHUB_API_KEY"

SERVER_LOGS = ("django.request", "apps.system.requests")
"""Loggers that tell of refused requests."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts to which an unencrypted connection leaves no wire to listen on."""

P = ParamSpec("P")

HubUrl = (
    Annotated[
        str | None,
        typer.Option(
            "--url",
            envvar=URL_VARIABLE,
            metavar="URL",
            rich_help_panel="Another hub",
            help="Its address, as https://HOST:PORT; default: this machine's hub.",
        ),
    ],
    None,
)
HiddenUrl = (Annotated[str | None, typer.Option("--url", envvar=URL_VARIABLE, hidden=True)], None)
KeyVariable = (
    Annotated[
        str,
        typer.Option(
            "--api-key-env",
            metavar="VARIABLE",
            rich_help_panel="Another hub",
            help="The environment variable that holds its API key.",
        ),
    ],
    KEY_VARIABLE,
)


@dataclass(frozen=True)
class Remote:
    """Another hub's address, as http(s)://HOST[:PORT][/PREFIX], and the key for it."""

    url: str
    key: str | None

    @property
    def is_loopback(self) -> bool:
        return urlsplit(self.url).hostname in LOOPBACK


_remote: ContextVar[Remote | None] = ContextVar("remote", default=None)
"""The other hub that the running command is for; None: this machine's."""


def for_any_hub(command: Callable[P, None]) -> Callable[..., None]:
    """A command for this machine's hub or another one: it opens it with ``hub()``."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        url, variable = kwargs.pop("hub_url"), kwargs.pop("hub_key_variable")
        remote = Remote(_checked(str(url)), os.environ.get(str(variable)) or None) if url else None
        token = _remote.set(remote)
        try:
            command(*args, **kwargs)
        finally:
            _remote.reset(token)

    return _with_options(run, command, hub_url=HubUrl, hub_key_variable=KeyVariable)


def here_only(reason: str) -> Callable[[Callable[P, None]], Callable[..., None]]:
    """A command for the hub's own machine, and why. Django is set up when it runs."""

    def decorate(command: Callable[P, None]) -> Callable[..., None]:
        @wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            if url := kwargs.pop("hub_url"):
                raise Refused(
                    f"This works on the hub's own machine only: {reason} Run it there, or leave "
                    f"{url} out (--url, {URL_VARIABLE})."
                )
            set_up_django()
            command(*args, **kwargs)

        return _with_options(run, command, hub_url=HiddenUrl)

    return decorate


@contextmanager
def hub() -> Iterator[HubClient]:
    """The hub that the running command is for."""
    remote = _remote.get()
    if remote is None:
        with _this_hub() as client:
            yield client
        return
    if remote.key and remote.url.startswith("http:") and not remote.is_loopback:
        typer.echo(f"Warning: the key goes to {remote.url} unencrypted.", err=True)
    # The key must not go wherever a proxy for the world outside happens to be.
    transport = httpx2.HTTPTransport(trust_env=not remote.is_loopback)
    with HubClient(transport, url=remote.url, key=remote.key, is_remote=True) as client:
        yield client


@contextmanager
def _this_hub() -> Iterator[HubClient]:
    set_up_django()
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler

    from apps.inference.api.lifetime import RequestLifetimes
    from mlxhub_site.upkeep.schema import pending, require_database

    require_database()
    if pending():
        raise CommandFailed(OUTDATED)
    configured = settings.HUB
    # Nobody else can call this process, and whoever runs it owns the data folder.
    alone = {
        "host": "127.0.0.1",
        "require_keys": False,
        "require_login": False,
        "trusted_proxies": (),
    }
    settings.HUB = configured.model_copy(update=alone)
    try:
        with quiet(), HubClient(InProcess(RequestLifetimes(ASGIHandler()))) as client:
            yield client
    finally:
        settings.HUB = configured


@contextmanager
def quiet() -> Iterator[None]:
    """A terminal gets refusals as its own lines, not as those of a server's log."""
    loggers = {logging.getLogger(): logging.WARNING}
    loggers |= dict.fromkeys(map(logging.getLogger, SERVER_LOGS), logging.CRITICAL)
    before = {logger: logger.level for logger in loggers}
    for logger, level in loggers.items():
        logger.setLevel(level)
    with warnings.catch_warnings():
        # No page is made here that needs the static files.
        warnings.filterwarnings("ignore", "No directory at", UserWarning)
        try:
            yield
        finally:
            for logger, level in before.items():
                logger.setLevel(level)


def _with_options(
    run: Callable[..., None], command: Callable[..., None], **options: Any
) -> Callable[..., None]:
    """``run`` with the parameters of ``command``, as typer reads them, and ``options``."""
    signature = inspect.signature(command, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in options.items()
    ]
    parameters = [*signature.parameters.values(), *added]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def _checked(url: str) -> str:
    """Raises BadUsage for what is no hub's address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise BadUsage(f"{url!r} is no hub's address. Write it as https://HOST:PORT.")
    if parts.username or parts.password:
        raise BadUsage(
            "An address with a name and password in it would be seen in the list of processes. "
            f"Put the hub's API key into {KEY_VARIABLE}."
        )
    return url.rstrip("/")
