"""What the settings do beside reading the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from mlxhub_site.settings import HubSettings, _secret_key


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
