"""Where people find the hub."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import psutil

from mlxhub_site.hub_settings import HubSettings

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared
"""Addresses that mean all of the machine's own, and how a program here reaches them."""


def page_url(hub: HubSettings) -> str:
    """Where a browser on this machine finds the hub."""
    return _url(hub, _ANYWHERE.get(hub.host, hub.host))


def network_urls(hub: HubSettings) -> list[str]:
    """Where browsers on other machines find it, if it listens on every interface."""
    return [_url(hub, host) for host in _own_addresses()] if hub.host in _ANYWHERE else []


def _url(hub: HubSettings, host: str) -> str:
    scheme = "https" if hub.serves_https else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{hub.port}"


def _own_addresses() -> Iterator[str]:
    """IPv4 addresses of interfaces that are up; nobody types the others."""
    states = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        for address in addresses:
            if (
                address.family != socket.AF_INET
                or not (state := states.get(name))
                or not state.isup
            ):
                continue
            known = ipaddress.ip_address(address.address)
            if not (known.is_loopback or known.is_link_local):
                yield address.address
