"""The middlewares as the web server's event loop runs them."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import AsyncClient
from django.utils.module_loading import import_string

from apps.accounts.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "correct horse battery"  # pragma: allowlist secret


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was handed to a thread, by name."""
    handed: list[str] = []
    original = SyncToAsync.__call__

    async def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        handed.append(getattr(self.func, "__qualname__", repr(self.func)))
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", counted)
    return handed


@pytest.mark.parametrize("path", django_settings.MIDDLEWARE)
def test_each_is_native_to_the_event_loop(path: str) -> None:
    assert import_string(path).async_capable


async def test_a_request_that_stores_nothing_changes_threads_for_its_view_alone(
    async_client: AsyncClient, hops: list[str]
) -> None:
    answer = await async_client.get("/healthz/live")
    assert answer.status_code == 200
    assert [name for name in hops if "Middleware" in name or "process_" in name] == []
    assert hops.count("live") == 1, hops


async def test_a_session_that_changed_is_stored(
    async_client: AsyncClient, open_hub: None, people: dict[Role, User]
) -> None:
    owner = people[Role.OWNER]
    owner.set_password(PASSWORD)
    await owner.asave()
    form = {"name": owner.username, "password": PASSWORD}
    answer = await async_client.post("/sign-in/", form)
    assert answer.status_code == 302, answer.content
    assert await Session.objects.acount() == 1
    assert (await async_client.get("/models/")).status_code == 200


async def test_a_message_waits_for_the_next_page(async_client: AsyncClient) -> None:
    answer = await async_client.post("/engine/cache/clear/", follow=True)
    assert "The engine is not running" in answer.content.decode()
    later = await async_client.get("/models/disk/")
    assert "The engine is not running" not in later.content.decode()


async def test_a_form_of_another_site_is_refused(db: None) -> None:
    answer = await AsyncClient(enforce_csrf_checks=True).post("/engine/cache/clear/")
    assert answer.status_code == 403


async def test_a_foreign_page_is_refused(async_client: AsyncClient) -> None:
    answer = await async_client.post("/v1/tokenize", headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_origin_request")


async def test_files_of_the_pages_are_served(async_client: AsyncClient, settings: Any) -> None:
    settings.WHITENOISE_USE_FINDERS = True
    answer = await async_client.get("/static/css/tokens.css")
    assert answer.status_code == 200
    answer.close()
