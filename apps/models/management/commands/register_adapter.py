"""``manage.py register_adapter``: an adapter's folder joins the registry and stays where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.models import services
from apps.models.errors import RegistryError
from apps.models.models import LocalModel
from apps.models.naming import slug_from
from apps.models.runtime.errors import RuntimeFault


class Command(BaseCommand):
    help = "Register a LoRA or DoRA adapter in mlx-lm's format. It stays where it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("base", help="Name of the model that it is for.")
        parser.add_argument(
            "folder", type=Path, help="Has adapter_config.json and adapters.safetensors."
        )
        parser.add_argument("--slug", help="Name in requests; default: the folder's.")
        parser.add_argument("--name", help="Name for people; default: the folder's.")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"].absolute()
        base = LocalModel.objects.named(options["base"]).first()
        if base is None:
            raise CommandError(f"No model is named {options['base']!r}. `mlx-hub list` lists them.")
        try:
            adapter = services.register_adapter(
                base=base,
                path=folder,
                slug=options["slug"] or slug_from(folder.name),
                name=options["name"] or folder.name,
            )
        except (RuntimeFault, RegistryError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{adapter.name} is ready ({adapter}); its files stay in {folder}.")
