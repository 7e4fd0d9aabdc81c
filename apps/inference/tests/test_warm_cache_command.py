"""``manage.py warm_cache``."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.inference.engine.protocol import Warm
from apps.inference.models import WarmPrompt
from apps.models.models import LocalModel
from tests.engine_scripts import failure
from tests.fake_engine import FakeEngine


def warm_cache(**options: Any) -> tuple[str, str]:
    """What the command wrote to stdout and stderr."""
    out, err = StringIO(), StringIO()
    call_command("warm_cache", stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def test_every_enabled_prompt_is_warmed(fake_engine: FakeEngine, tiny: LocalModel) -> None:
    for name, enabled in (("brief", True), ("kind", True), ("off", False)):
        WarmPrompt.objects.create(name=name, model=tiny, system_prompt=name, enabled=enabled)

    out, _ = warm_cache()

    warmed = [call.request.system_prompt for call in fake_engine.calls_of(Warm)]
    assert warmed == ["brief", "kind"]
    assert "brief (tiny): prefill 100/100\n" in out
    assert "kind (tiny): warm, 100 tokens in 0.20 s\n" in out


def test_without_prompts_it_says_where_to_add_them(fake_engine: FakeEngine, db: None) -> None:
    out, _ = warm_cache()

    assert "Add one in the admin." in out


def test_a_given_prompt_is_warmed_for_a_given_model(
    fake_engine: FakeEngine, qwen: LocalModel
) -> None:
    out, _ = warm_cache(model="acme/Qwen-Test", system_prompt="Be brief.", pin=True)

    request = fake_engine.calls_of(Warm)[0].request
    assert (request.model.name, request.system_prompt) == ("qwen", "Be brief.")
    assert request.pinned
    assert "qwen: warm" in out


def test_a_given_prompt_is_read_from_a_file(
    fake_engine: FakeEngine, tiny: LocalModel, tmp_path: Path
) -> None:
    file = tmp_path / "prompt.txt"
    file.write_text("Sei kürzer.", encoding="utf-8")

    warm_cache(system_prompt=f"@{file}")

    assert fake_engine.calls_of(Warm)[0].request.system_prompt == "Sei kürzer."


def test_one_that_fails_ends_in_an_error_after_the_others(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    for name in ("brief", "kind"):
        WarmPrompt.objects.create(name=name, model=tiny, system_prompt=name)
    fake_engine.once(Warm, failure("context_length_exceeded", "Too long."))

    with pytest.raises(CommandError, match="1 of 2 prompts were not warmed") as raised:
        warm_cache()

    assert raised.value.returncode == 1
    assert len(fake_engine.calls_of(Warm)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "other", "system_prompt": "x"}, "mlx-hub pull other"),
        ({"model": "tiny"}, "need --system-prompt"),
        ({"pin": True}, "need --system-prompt"),
        ({"system_prompt": ""}, "is empty"),
        ({"system_prompt": "@/nowhere/prompt.txt"}, "can't be read"),
    ],
)
def test_wrong_options_are_refused_with_a_reason(
    fake_engine: FakeEngine, tiny: LocalModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        warm_cache(**options)


def test_without_an_engine_it_says_how_to_start_one(
    fake_engine: FakeEngine, tiny: LocalModel
) -> None:
    fake_engine.stop()
    err = StringIO()

    with pytest.raises(CommandError):
        call_command("warm_cache", system_prompt="x", stderr=err, stdout=StringIO())

    assert "mlx-hub up" in err.getvalue()
