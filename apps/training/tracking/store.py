"""Where runs are told: a store of the hub's own, or the server that the settings name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]*@")
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@dataclass(frozen=True)
class Store:
    uri: str
    """As mlflow takes it, maybe with credentials: not for pages or logs."""
    folder: Path | None
    """Of the hub's own store; None: another one."""

    @property
    def shown(self) -> str:
        """Its address without credentials."""
        return without_credentials(self.uri)

    @property
    def artifacts(self) -> str:
        """Where its experiments keep files, as a URI; empty: as the server says."""
        return (self.folder / "artifacts").as_uri() if self.folder else ""


def configured_store() -> Store | None:
    """The store that runs are told to; None where tracking is switched off."""
    if not settings.HUB.track_runs:
        return None
    if settings.HUB.mlflow_tracking_uri:
        return Store(settings.HUB.mlflow_tracking_uri.get_secret_value(), None)
    folder = settings.HUB.mlflow_dir
    return Store(f"sqlite:///{folder / 'mlflow.db'}", folder)


def without_credentials(text: str) -> str:
    """``text`` without what a URL in it says before its host, and without the known secrets."""
    for name in _SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "…")
    return _CREDENTIALS.sub("", text)
