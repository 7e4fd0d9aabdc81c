"""``manage.py register_folder``: a model folder joins the registry and stays where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.models import services
from apps.models.errors import RegistryError
from apps.models.management.progress import shown_progress
from apps.models.models import LocalModel
from apps.models.naming import slug_from
from apps.models.runtime.errors import RuntimeFault


class Command(BaseCommand):
    help = "Register a model folder in mlx-lm's format. It stays where it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="Has config.json and model*.safetensors.")
        parser.add_argument("--slug", help="Name in addresses and commands; default: the folder's.")
        parser.add_argument("--name", help="Name for people; default: the folder's.")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"].absolute()
        try:
            with shown_progress(self.stdout) as progress:
                model = services.register_folder(
                    path=folder,
                    slug=options["slug"] or slug_from(folder.name),
                    name=options["name"] or folder.name,
                    source=LocalModel.Source.FOLDER,
                    progress=progress,
                )
        except (RuntimeFault, RegistryError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{model.name} is ready ({model.slug}); its files stay in {folder}.")
