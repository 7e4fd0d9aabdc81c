"""Warm prompts are asked for at four doors, and warmed in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from typer.testing import CliRunner

from apps.inference import tasks, warming
from apps.inference.engine.protocol import Warm
from apps.inference.management.commands import warm_cache
from apps.inference.models import WarmPrompt
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from mlxhub_site.cli import app
from tests.fake_engine import FakeEngine


def by_admin(client: Client) -> None:
    url = reverse("admin:inference_warmprompt_changelist")
    keys = list(WarmPrompt.objects.values_list("pk", flat=True))
    page = client.post(url, {"action": "warm_now", "_selected_action": keys}, follow=True)
    assert b"the list shows how far it is" in page.content


def by_api(_: Client) -> None:
    assert Caller()("POST", "/admin/cache/warm-prompts/warm", {}).status == 202


def by_management_command(_: Client) -> None:
    call_command("warm_cache")


def by_command_line(_: Client) -> None:
    result = CliRunner().invoke(app, ["warm"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("ask", [by_admin, by_api, by_management_command, by_command_line])
def test_every_door_leads_to_the_same_warm_up(
    fake_engine: FakeEngine,
    tiny: LocalModel,
    admin_client: Client,
    django_capture_on_commit_callbacks: Callable[..., Any],
    ask: Callable[[Client], None],
) -> None:
    WarmPrompt.objects.create(name="brief", model=tiny, system_prompt="Be brief.")
    assert tasks.warm_prompt is warm_cache.warm_prompt is warming.warm_prompt

    with django_capture_on_commit_callbacks() as queued:
        ask(admin_client)
    if queued:
        assert queued == [tasks.warm_waiting_prompts]
        tasks.warm_waiting_prompts.call_local()

    assert WarmPrompt.objects.get().state == WarmPrompt.State.WARM
    assert [call.request.system_prompt for call in fake_engine.calls_of(Warm)] == ["Be brief."]
