"""Warm prompts: one way to warm them, whoever asks, with their progress in their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from huey.exceptions import RetryTask

from apps.inference import tasks, warming
from apps.inference.client import EngineError
from apps.inference.engine.protocol import AdapterSpec, Prefill, Prompt, Warm
from apps.inference.models import WarmPrompt
from apps.inference.services import NamedModel
from apps.inference.tests.warm_prompts import states, warmed
from apps.models.models import Adapter, LocalModel
from tests.engine_scripts import failure
from tests.fake_engine import FakeEngine

State = WarmPrompt.State

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
