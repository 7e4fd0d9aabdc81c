"""``manage.py warm_cache``: compute system prompts' KV ahead of the first chat."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.inference.client import EngineError
from apps.inference.engine.protocol import Event, Loading, Prefill, Prompt, Warmed
from apps.inference.models import WarmPrompt
from apps.inference.services import ModelNotFound, default_model, resolve_model
from apps.inference.warming import warm, warm_prompt


class Command(BaseCommand):
    help = (
        "Warms every enabled warm prompt, or the one given with --system-prompt. "
        "Exits with 1 when one fails."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--model",
            help="MODEL or MODEL:ADAPTER for --system-prompt. Default: the model the hub got first.",
        )
        parser.add_argument(
            "--system-prompt", metavar="TEXT|@FILE", help="The text, or @ and a file's name."
        )
        parser.add_argument(
            "--pin", action="store_true", help="Keep the --system-prompt from eviction."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["system_prompt"] is not None:
            self._warm_given(options["model"], options["system_prompt"], pinned=options["pin"])
        elif options["model"] or options["pin"]:
            raise CommandError("--model and --pin need --system-prompt.")
        else:
            self._warm_saved()

    def _warm_given(self, model_name: str | None, text: str, *, pinned: bool) -> None:
        prompt = _text(text)
        try:
            model = resolve_model(model_name) if model_name else default_model()
        except ModelNotFound as error:
            raise CommandError(str(error)) from error

        def call(on_event: Callable[[Event], None]) -> Warmed:
            return warm(model=model, system_prompt=prompt, pinned=pinned, on_event=on_event)

        if not self._warmed(model.name, call):
            raise CommandError("The prompt was not warmed.")

    def _warm_saved(self) -> None:
        prompts = list(WarmPrompt.objects.enabled().select_related("model", "adapter__base"))
        if not prompts:
            self.stdout.write("There is no enabled warm prompt. Add one in the admin.")
        failed = 0
        for prompt in prompts:

            def call(on_event: Callable[[Event], None], prompt: WarmPrompt = prompt) -> Warmed:
                return warm_prompt(prompt=prompt, on_event=on_event)

            failed += not self._warmed(f"{prompt.name} ({prompt.target})", call)
        if failed:
            raise CommandError(f"{failed} of {len(prompts)} prompts were not warmed.")

    def _warmed(self, label: str, call: Callable[[Callable[[Event], None]], Warmed]) -> bool:
        """Whether ``call`` went well; says how it goes in lines that begin with ``label``."""

        def say(event: Event) -> None:
            match event:
                case Loading():
                    self.stdout.write(f"{label}: loading {event.model}")
                case Prompt():
                    cached = (
                        f", {event.cached_tokens} of them cached" if event.cached_tokens else ""
                    )
                    self.stdout.write(f"{label}: {event.prompt_tokens} tokens{cached}")
                case Prefill():
                    self.stdout.write(f"{label}: prefill {event.done}/{event.total}")

        try:
            warmed = call(say)
        except EngineError as error:
            self.stderr.write(f"{label}: {error.message}")
            return False
        self.stdout.write(f"{label}: warm, {warmed.tokens} tokens in {warmed.seconds:.2f} s")
        return True


def _text(given: str) -> str:
    """The prompt itself, read from the file where ``given`` begins with an @."""
    if not given.startswith("@"):
        text = given
    else:
        try:
            text = Path(given[1:]).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{given[1:]} can't be read: {error}") from error
    if not text:
        raise CommandError("The system prompt is empty.")
    return text
