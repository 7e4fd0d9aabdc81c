"""The prompt cache in Django's admin."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse

from apps.inference.models import PromptCacheEntry
from tests.engine_scripts import cache_entry
from tests.fake_engine import FakeEngine

ENTRIES = reverse("admin:inference_promptcacheentry_changelist")


def act(client: Client, url: str, action: str, *keys: Any) -> str:
    """Runs an action on rows; the page that follows."""
    form = {"action": action, "_selected_action": keys}
    return client.post(url, form, follow=True).content.decode()


# --- prompt cache entries ---------------------------------------------------------


def test_opening_the_list_reads_the_cache_anew(
    admin_client: Client, fake_engine: FakeEngine
) -> None:
    fake_engine.entries = {"a": cache_entry("a", preview="You are a pirate.")}

    page = admin_client.get(ENTRIES).content.decode()

    assert "You are a pirate." in page
    assert PromptCacheEntry.objects.count() == 1


def test_without_an_engine_the_list_shows_what_was_known_last(
    admin_client: Client, fake_engine: FakeEngine
) -> None:
    fake_engine.entries = {"a": cache_entry("a", preview="You are a pirate.")}
    admin_client.get(ENTRIES)
    fake_engine.stop()

    page = admin_client.get(ENTRIES).content.decode()

    assert "You are a pirate." in page
    assert "The engine is not running." in page


def test_entries_can_be_looked_at_but_not_changed(
    admin_client: Client, fake_engine: FakeEngine
) -> None:
    fake_engine.entries = {"a": cache_entry("a")}
    admin_client.get(ENTRIES)
    page = reverse("admin:inference_promptcacheentry_change", args=["a"])

    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"model": "x"}).status_code == 403
    assert admin_client.get(reverse("admin:inference_promptcacheentry_add")).status_code == 403


def test_entries_are_evicted(admin_client: Client, fake_engine: FakeEngine) -> None:
    fake_engine.entries = {key: cache_entry(key) for key in "abc"}
    admin_client.get(ENTRIES)

    page = act(admin_client, ENTRIES, "evict", "a", "c")

    assert set(fake_engine.entries) == {"b"}
    assert "Evicted: 2." in page


def test_entries_are_pinned_and_unpinned(admin_client: Client, fake_engine: FakeEngine) -> None:
    fake_engine.entries = {"a": cache_entry("a")}
    admin_client.get(ENTRIES)

    act(admin_client, ENTRIES, "pin", "a")
    assert fake_engine.entries["a"].pinned
    act(admin_client, ENTRIES, "unpin", "a")
    assert not fake_engine.entries["a"].pinned


def test_an_action_without_an_engine_says_so(admin_client: Client, fake_engine: FakeEngine) -> None:
    fake_engine.entries = {"a": cache_entry("a")}
    admin_client.get(ENTRIES)
    fake_engine.stop()

    page = act(admin_client, ENTRIES, "evict", "a")

    assert "The engine is not running." in page
    assert "Evicted" not in page
