from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.supervisor.addresses import network_urls, page_url


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(address: str, family: int = socket.AF_INET) -> Any:
        return SimpleNamespace(family=family, address=address)

    addresses = {
        "lo": [at("127.0.0.1")],
        "eth0": [at("192.168.1.7"), at("fe80::1%eth0", socket.AF_INET6), at("169.254.3.3")],
        "eth1": [at("10.0.0.9")],
    }
    states = {name: SimpleNamespace(isup=name != "eth1") for name in addresses}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: addresses)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: states)


def hub(**settings: Any) -> HubSettings:
    return HubSettings(port=8080, **settings)


@pytest.mark.parametrize("host", ["0.0.0.0", ""])
def test_a_hub_on_every_interface_names_those_that_others_reach(host: str) -> None:
    assert page_url(hub(host=host)) == "http://127.0.0.1:8080"
    assert network_urls(hub(host=host)) == ["http://192.168.1.7:8080"]


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.7", "::1"])
def test_a_hub_on_one_address_is_found_there_alone(host: str) -> None:
    assert page_url(hub(host=host)) == f"http://{f'[{host}]' if ':' in host else host}:8080"
    assert network_urls(hub(host=host)) == []
