"""Warm prompts: one way to warm them, whoever asks, with their progress in their rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from huey.exceptions import RetryTask

from apps.inference import tasks, warming
from apps.inference.client import EngineError, EngineUnavailable
from apps.inference.engine.protocol import AdapterSpec, Prefill, Prompt, Warm
from apps.inference.models import WarmPrompt
from apps.inference.services import NamedModel
from apps.inference.tests.conftest import Caller
from apps.models.models import Adapter, LocalModel
from tests.fake_engine import PATIENCE, FakeEngine, HangUp, failure

State = WarmPrompt.State


@pytest.fixture
def brief(tiny: LocalModel) -> WarmPrompt:
    return WarmPrompt.objects.create(name="brief", model=tiny, system_prompt="Be brief.")


@pytest.fixture
def kind(tiny: LocalModel) -> WarmPrompt:
    return WarmPrompt.objects.create(name="kind", model=tiny, system_prompt="Be kind.")


def states() -> dict[str, str]:
    return dict(WarmPrompt.objects.values_list("name", "state"))


def warmed(engine: FakeEngine) -> list[str]:
    """The system prompts that the engine was asked to warm, in their order."""
    return [call.request.system_prompt for call in engine.calls_of(Warm)]


# --- one prompt -------------------------------------------------------------------


def test_warming_tells_how_far_it_is(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    heard: list[object] = []

    done = warming.warm(
        model=NamedModel(tiny), system_prompt="Be brief.", pinned=True, on_event=heard.append
    )

    assert done.tokens == 100
    assert Prefill(done=100, total=100) in heard
    assert fake_engine.entries[done.entry_id].pinned


def test_a_prompt_may_be_an_adapters(
    fake_engine: FakeEngine, brief: WarmPrompt, pirate: Adapter
) -> None:
    brief.adapter = pirate

    warming.warm_prompt(prompt=brief)

    assert fake_engine.wait_for_call(Warm).request.adapter == AdapterSpec(
        name="pirate", path="/adapters/pirate", digest="digest-pirate"
    )


def test_an_adapter_over_another_model_is_refused(
    brief: WarmPrompt, pirate: Adapter, qwen: LocalModel
) -> None:
    brief.model, brief.adapter = qwen, pirate

    with pytest.raises(ValidationError, match="over another model"):
        brief.full_clean()


def test_a_row_says_how_far_its_prompt_is(
    fake_engine: FakeEngine, brief: WarmPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "ROW_INTERVAL", 0.0)
    fake_engine.once(
        Warm,
        Prompt(prompt_tokens=2_000, cached_tokens=0),
        Prefill(done=500, total=2_000),
        failure("internal_error", "Stop here."),
    )
    seen = []

    with pytest.raises(EngineError):
        warming.warm_prompt(
            prompt=brief, on_event=lambda _: seen.append(WarmPrompt.objects.get().progress)
        )

    assert seen == ["warming 0 of 2,000 tokens", "warming 500 of 2,000 tokens"]


def test_a_row_remembers_when_it_was_warmed(fake_engine: FakeEngine, brief: WarmPrompt) -> None:
    brief.warming_failed("It failed.")

    warming.warm_prompt(prompt=brief)

    brief.refresh_from_db()
    assert brief.state == State.WARM
    assert brief.tokens_total == 100
    assert brief.last_warmed_at == brief.tried_at is not None
    assert brief.last_error == ""


def test_a_row_remembers_why_it_failed(fake_engine: FakeEngine, brief: WarmPrompt) -> None:
    fake_engine.once(Warm, failure("context_length_exceeded", "Too long."))

    with pytest.raises(EngineError, match=r"Too long\."):
        warming.warm_prompt(prompt=brief)

    brief.refresh_from_db()
    assert (brief.state, brief.last_error) == (State.FAILED, "Too long.")
    assert brief.last_warmed_at is None
    assert brief.tried_at is not None


def test_a_warm_up_that_is_broken_off_says_so(fake_engine: FakeEngine, brief: WarmPrompt) -> None:
    def break_off(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        warming.warm_prompt(prompt=brief, on_event=break_off)

    brief.refresh_from_db()
    assert brief.state == State.FAILED
    assert "interrupted" in brief.last_error


def test_what_is_edited_meanwhile_stays(fake_engine: FakeEngine, brief: WarmPrompt) -> None:
    WarmPrompt.objects.filter(pk=brief.pk).update(system_prompt="Be kind.")

    warming.warm_prompt(prompt=brief)

    assert WarmPrompt.objects.get().system_prompt == "Be kind."


# --- the worker -------------------------------------------------------------------


def test_the_worker_warms_what_waits(
    fake_engine: FakeEngine, brief: WarmPrompt, kind: WarmPrompt
) -> None:
    tasks.queue_warming(prompts=WarmPrompt.objects.filter(name="kind"))
    assert states() == {"brief": "idle", "kind": "waiting"}

    tasks.warm_waiting_prompts.call_local()

    assert states() == {"brief": "idle", "kind": "warm"}
    assert warmed(fake_engine) == ["Be kind."]


def test_asking_twice_warms_once(fake_engine: FakeEngine, brief: WarmPrompt) -> None:
    for _ in range(2):
        tasks.queue_warming(prompts=WarmPrompt.objects.all())

    for _ in range(2):
        tasks.warm_waiting_prompts.call_local()

    assert warmed(fake_engine) == ["Be brief."]


def test_a_prompt_that_fails_does_not_stop_the_others(
    fake_engine: FakeEngine, brief: WarmPrompt, kind: WarmPrompt
) -> None:
    fake_engine.once(Warm, failure("context_length_exceeded", "Too long."))
    tasks.queue_warming(prompts=WarmPrompt.objects.all())

    tasks.warm_waiting_prompts.call_local()

    assert states() == {"brief": "failed", "kind": "warm"}


def test_an_engine_that_is_not_up_yet_is_tried_again(
    fake_engine: FakeEngine, brief: WarmPrompt
) -> None:
    fake_engine.stop()
    tasks.queue_warming(prompts=WarmPrompt.objects.all())

    with pytest.raises(RetryTask) as raised:
        tasks.warm_waiting_prompts.call_local()

    assert raised.value.delay == tasks.ENGINE_RETRY_DELAY
    assert states() == {"brief": "waiting"}


def test_a_worker_that_starts_warms_what_is_enabled_and_what_was_left_half_done(
    brief: WarmPrompt, kind: WarmPrompt, tiny: LocalModel
) -> None:
    WarmPrompt.objects.update(enabled=False)
    WarmPrompt.objects.create(name="on", model=tiny, system_prompt="on")
    brief.warming_began()

    tasks.warm_at_start()

    assert states() == {"brief": "waiting", "kind": "idle", "on": "waiting"}


def test_nothing_to_warm_is_no_task(
    db: None, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    with django_capture_on_commit_callbacks() as queued:
        assert tasks.queue_warming(prompts=WarmPrompt.objects.all()) == 0

    assert queued == []


# --- after a load ------------------------------------------------------------------


def load(engine: FakeEngine, model: LocalModel, at: datetime) -> None:
    """Somebody loads the model."""
    loaded = engine._load(NamedModel(model).spec)
    engine.loaded[model.digest] = loaded.model_copy(update={"loaded_at": at.timestamp()})


def test_a_model_that_was_loaded_gets_its_prompts_warm(
    fake_engine: FakeEngine, brief: WarmPrompt, qwen: LocalModel
) -> None:
    WarmPrompt.objects.create(name="other", model=qwen, system_prompt="other")
    WarmPrompt.objects.create(name="off", model=brief.model, system_prompt="off", enabled=False)
    load(fake_engine, brief.model, timezone.now())

    assert warming.warm_after_loads() == 1

    assert warmed(fake_engine) == ["Be brief."]


def test_a_load_warms_its_prompts_once(fake_engine: FakeEngine, brief: WarmPrompt) -> None:
    load(fake_engine, brief.model, timezone.now())

    assert [warming.warm_after_loads() for _ in range(3)] == [1, 0, 0]


def test_a_prompt_that_fails_is_not_tried_until_the_next_load(
    fake_engine: FakeEngine, brief: WarmPrompt
) -> None:
    fake_engine.always(Warm, failure("context_length_exceeded", "Too long."))
    load(fake_engine, brief.model, timezone.now())
    assert [warming.warm_after_loads() for _ in range(2)] == [1, 0]

    load(fake_engine, brief.model, timezone.now() + timedelta(seconds=1))

    assert warming.warm_after_loads() == 1


def test_a_model_that_nobody_loaded_stays_unloaded(
    fake_engine: FakeEngine, brief: WarmPrompt
) -> None:
    assert warming.warm_after_loads() == 0
    assert warmed(fake_engine) == []


def test_what_loaded_the_model_to_warm_it_is_not_repeated(
    fake_engine: FakeEngine, brief: WarmPrompt
) -> None:
    load(fake_engine, brief.model, datetime.now(UTC))
    warming.warm_prompt(prompt=brief)

    assert warming.warm_after_loads() == 0


def test_what_is_being_warmed_is_left_alone(fake_engine: FakeEngine, brief: WarmPrompt) -> None:
    load(fake_engine, brief.model, timezone.now())
    brief.warming_began()

    assert warming.warm_after_loads() == 0


def test_an_engine_that_dies_meanwhile_is_not_asked_for_the_others(
    fake_engine: FakeEngine, brief: WarmPrompt, kind: WarmPrompt
) -> None:
    fake_engine.once(Warm, HangUp())
    load(fake_engine, brief.model, timezone.now())

    with pytest.raises(EngineUnavailable):
        warming.warm_after_loads()

    assert states() == {"brief": "failed", "kind": "idle"}


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    stop = threading.Event()
    yield stop
    stop.set()


@pytest.mark.parametrize("trouble", [EngineUnavailable("down"), ValueError("a bug"), None])
def test_the_worker_keeps_looking_whatever_happens(
    stop: threading.Event, monkeypatch: pytest.MonkeyPatch, trouble: Exception | None
) -> None:
    looks = threading.Semaphore(0)

    def look() -> None:
        looks.release()
        if trouble is not None:
            raise trouble

    monkeypatch.setattr(tasks, "LOADS_INTERVAL", 0.001)
    monkeypatch.setattr(tasks, "warm_after_loads", look)
    thread = threading.Thread(target=tasks.keep_warming_after_loads, args=(stop,))

    thread.start()
    assert looks.acquire(timeout=PATIENCE)
    assert looks.acquire(timeout=PATIENCE)
    stop.set()
    thread.join(PATIENCE)

    assert not thread.is_alive()


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
