"""Secrets are planted, and looked for in everything that the hub shows, exports or logs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pydantic import SecretStr

from apps.accounts.roles import Role
from apps.accounts.services import create_account
from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import create_key
from apps.models.models import LocalModel
from apps.redaction import text as redaction
from apps.redaction.filter import RedactingFilter
from mlxhub_site.hub_settings import HubSettings
from mlxhub_site.tests.test_access import all_routes

pytestmark = pytest.mark.django_db

TOKEN = "hf_PlantedTokenPlantedToken"
TRACKING = "http://ada:planted-password@127.0.0.1:9"  # pragma: allowlist secret
PASSWORD = "planted and long enough"

NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture
def secrets(
    settings: Any, tmp_path: Path, tiny: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """One of each kind, in a hub with something on every page."""
    monkeypatch.setattr(redaction, "_known", set())
    settings.HUB = settings.HUB.model_copy(
        update={
            "home": tmp_path / "hub",
            "hf_token": SecretStr(TOKEN),
            "hf_endpoint": NOBODY_LISTENS,
            "hf_offline": True,
            "mlflow_tracking_uri": SecretStr(TRACKING),
        }
    )
    for folder in (settings.HUB.logs_dir, settings.HUB.models_dir):
        folder.mkdir(parents=True)
    user = create_account(name="ada", role=Role.MEMBER, password=PASSWORD)
    key, text = create_key(name="laptop", user_id=user.pk)
    key.last_used_at = timezone.now()
    key.save()
    return [
        TOKEN,
        "planted-password",
        PASSWORD,
        text,
        text.rpartition("_")[2],
        key.digest,
        user.password,
        settings.SECRET_KEY,
    ]


def test_no_page_call_or_export_shows_one(client: Client, secrets: list[str]) -> None:
    client.raise_request_exception = False
    shown = 0
    for route in all_routes():
        if route.key in {"admin:*", "home"}:
            continue
        for path in {route.path, route.path.replace("/x", "/tiny", 1)}:
            answer = client.get(path)
            if getattr(answer, "is_async", False):
                continue  # a stream of events about an answer
            body = answer.getvalue() if answer.streaming else answer.content
            shown += answer.status_code == 200
            for secret in secrets:
                assert secret.encode() not in body, path
                assert secret not in str(answer.headers), path
    assert shown > 60


def test_django_admin_shows_no_digest_of_a_key(admin_client: Client, secrets: list[str]) -> None:
    pages = "/admin/keys/apikey/", f"/admin/keys/apikey/{ApiKey.objects.get().pk}/change/"
    for path in pages:
        answer = admin_client.get(path)
        assert answer.status_code == 200
        body = answer.content.decode()
        assert not [secret for secret in secrets if secret in body], path


def test_settings_show_none_where_they_are_printed(secrets: list[str], settings: Any) -> None:
    assert TOKEN not in repr(settings.HUB)
    assert TOKEN not in settings.HUB.model_dump_json()


def test_everything_secret_among_the_settings_is_typed_as_such() -> None:
    words = ("token", "secret", "password", "tracking_uri")
    fields = HubSettings.model_fields.items()
    secret = {name: field for name, field in fields if any(word in name for word in words)}
    assert secret.keys() >= {"hf_token", "mlflow_tracking_uri"}
    for name, field in secret.items():
        assert "SecretStr" in str(field.annotation), name


def test_every_handler_of_the_log_hides_them(settings: Any) -> None:
    for handler in settings.LOGGING["handlers"].values():
        filters = [settings.LOGGING["filters"][name]["()"] for name in handler["filters"]]
        assert RedactingFilter in filters
    for name, logger in settings.LOGGING["loggers"].items():
        assert set(logger.get("handlers", [])) <= set(settings.LOGGING["handlers"]), name
    assert logging.getLogger("django.request").propagate
