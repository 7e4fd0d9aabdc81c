"""What the settings do beside reading the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.settings import _secret_key


def test_the_secret_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "hub" / "secret_key"

    key = _secret_key(path)

    assert len(key) > 50
    assert _secret_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("host", "is_open"),
    [("127.0.0.1", False), ("localhost", False), ("::1", False), ("0.0.0.0", True), ("", True)],
)
def test_only_loopback_keeps_other_machines_out(host: str, is_open: bool) -> None:
    assert HubSettings(host=host).is_open is is_open


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_that_a_browser_could_not_open_is_refused(
    port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLXHUB_PORT", port)
    with pytest.raises(ValidationError):
        HubSettings()


def test_origins_are_read_from_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLXHUB_CORS_ORIGINS", "https://App.example/, http://localhost:3000")
    assert HubSettings().cors_origins == ("https://app.example", "http://localhost:3000")


@pytest.mark.parametrize("wrong", ["*", "app.example", "https://a.example/path", "null"])
def test_what_is_no_origin_stops_the_start(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("MLXHUB_CORS_ORIGINS", wrong)
    with pytest.raises(ValidationError, match="is no origin"):
        HubSettings()


@pytest.mark.parametrize(
    ("host", "require_keys", "required"),
    [
        ("127.0.0.1", None, False),
        ("0.0.0.0", None, True),
        ("127.0.0.1", True, True),
        ("0.0.0.0", False, False),
    ],
)
def test_keys_are_required_where_other_machines_may_call_or_the_owner_says_so(
    host: str, require_keys: bool | None, required: bool
) -> None:
    assert HubSettings(host=host, require_keys=require_keys).keys_required is required


@pytest.mark.parametrize(
    "others_come_in", [{"require_login": True}, {"trusted_proxies": ("127.0.0.1",)}]
)
def test_where_people_sign_in_programs_need_a_key_on_loopback_too(
    others_come_in: dict[str, Any],
) -> None:
    assert HubSettings(**others_come_in).keys_required
    assert not HubSettings(**others_come_in, require_keys=False).keys_required
