"""`manage.py runserver`, without a real server."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.system.management.commands import runserver
from tests.fake_engine import FakeEngine


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The options the server was run with."""
    options: dict[str, Any] = {}
    monkeypatch.setattr(runserver.uvicorn, "run", lambda app, **more: options.update(more, app=app))
    monkeypatch.setattr(runserver, "collect_static", lambda: False)
    return options


@pytest.mark.django_db
def test_it_serves_the_asgi_application_beside_a_running_engine(
    fake_engine: FakeEngine, served: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("runserver", "8765")
    assert served["app"] == "mlxhub_site.asgi:application"
    assert (served["host"], served["port"]) == ("127.0.0.1", 8765)
    assert capsys.readouterr().out.startswith("Using the engine that is running")


@pytest.mark.django_db
@pytest.mark.usefixtures("fake_engine")
def test_forwarding_headers_are_not_trusted(served: dict[str, Any]) -> None:
    call_command("runserver")
    assert served["proxy_headers"] is False


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8000", ("127.0.0.1", 8000)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:8000", ("::1", 8000)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert runserver.parse_address(text) == address


@pytest.mark.parametrize("text", ["", "localhost", "localhost:", "1.2.3.4:0", ":70000", ":-1"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="address"):
        runserver.parse_address(text)
