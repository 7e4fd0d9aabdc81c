"""Warm prompts in the admin and over REST."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.inference import warming
from apps.inference.models import WarmPrompt
from apps.inference.tests.conftest import Caller
from apps.inference.tests.warm_prompts import states
from apps.models.models import Adapter
from tests.fake_engine import FakeEngine

State = WarmPrompt.State

# --- the admin ----------------------------------------------------------------------

PROMPTS = reverse("admin:inference_warmprompt_changelist")


def test_the_list_is_read_anew_while_a_prompt_is_being_warmed(
    admin_client: Client, brief: WarmPrompt
) -> None:
    assert "Refresh" not in admin_client.get(PROMPTS).headers

    brief.warming_began()
    brief.warming_is_at(500, 2_000)
    page = admin_client.get(PROMPTS)

    assert "Refresh" in page.headers
    assert "warming 500 of 2,000 tokens" in page.content.decode()


def test_a_changed_prompt_is_no_longer_warm(
    admin_client: Client, fake_engine: FakeEngine, brief: WarmPrompt
) -> None:
    warming.warm_prompt(prompt=brief)
    form = {"name": "brief", "model": brief.model.pk, "system_prompt": "Be short.", "pinned": "on"}

    admin_client.post(reverse("admin:inference_warmprompt_change", args=[brief.pk]), form)

    brief.refresh_from_db()
    assert (brief.system_prompt, brief.state, brief.tried_at) == ("Be short.", State.IDLE, None)


# --- the API -------------------------------------------------------------------------

URL = "/admin/cache/warm-prompts"


def test_the_prompts_are_listed_with_their_progress(
    call: Caller, brief: WarmPrompt, pirate: Adapter
) -> None:
    WarmPrompt.objects.filter(pk=brief.pk).update(adapter=pirate)
    brief.warming_began()
    brief.warming_is_at(500, 2_000)

    assert call("GET", URL).json == {
        "prompts": [
            {
                "name": "brief",
                "target": "tiny:pirate",
                "state": "warming",
                "tokens_done": 500,
                "tokens_total": 2000,
                "enabled": True,
                "pinned": True,
                "last_warmed_at": None,
                "last_error": "",
            }
        ]
    }


def test_named_prompts_wait_for_the_worker(
    call: Caller, brief: WarmPrompt, kind: WarmPrompt
) -> None:
    answer = call("POST", f"{URL}/warm", {"names": ["kind"]})

    assert answer.status == 202
    assert [(row["name"], row["state"]) for row in answer.json["prompts"]] == [("kind", "waiting")]
    assert states() == {"brief": "idle", "kind": "waiting"}


def test_an_unknown_prompt_is_not_found(call: Caller, brief: WarmPrompt) -> None:
    answer = call("POST", f"{URL}/warm", {"names": ["brief", "gone"]})

    assert answer.status == 404
    assert answer.error["code"] == "warm_prompt_not_found"
    assert answer.error["message"] == "There is no warm prompt 'gone'. There are: brief."
    assert states() == {"brief": "idle"}


@pytest.mark.parametrize(("body", "param"), [({"names": []}, "names"), ({"name": "brief"}, "name")])
def test_a_wrong_field_is_named(call: Caller, db: None, body: Any, param: str) -> None:
    answer = call("POST", f"{URL}/warm", body)

    assert (answer.status, answer.error["param"]) == (400, param)
