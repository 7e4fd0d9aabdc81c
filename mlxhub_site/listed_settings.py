"""Settings that hold several values: in the environment, a text with commas between them."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

_ORIGIN = re.compile(r"https?://[^/?#\s@*,]+")


def _names(given: object) -> object:
    if not isinstance(given, str):
        return given
    return tuple(each.strip().lower() for each in given.split(",") if each.strip())


def _addresses(given: object) -> object:
    names = _names(given)
    for name in names if isinstance(names, tuple) else ():
        try:
            ip_address(name)
        except ValueError as error:
            raise ValueError(f"{name!r} is no IP address.") from error
    return names


def _networks(given: object) -> object:
    names = _names(given)
    for name in names if isinstance(names, tuple) else ():
        try:
            ip_network(name)
        except ValueError as error:
            raise ValueError(
                f"{name!r} is neither an address nor a network. Write each as 10.0.0.2 or "
                "10.0.0.0/24."
            ) from error
    return names


def _origins(given: object) -> object:
    if not isinstance(given, str):
        return given
    origins = tuple(each.strip().rstrip("/").lower() for each in given.split(",") if each.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin. Write each as http://HOST:PORT.")
    return origins


def _paths(given: object) -> object:
    if not isinstance(given, str):
        return given
    return tuple(Path(each.strip()) for each in given.split(",") if each.strip())


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
"""Host names or addresses, in small letters."""

Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_addresses)]
"""IP addresses."""

Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)]
"""IP addresses and networks; no word stands for all of them."""

Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)]
"""Origins as browsers send them: scheme, host and port."""

Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_paths)]
