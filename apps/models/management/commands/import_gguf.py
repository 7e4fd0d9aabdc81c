"""``manage.py import_gguf``: a GGUF file becomes a model of the hub's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.models import services
from apps.models.errors import RegistryError
from apps.models.management.progress import shown_progress
from apps.models.naming import slug_from
from apps.models.runtime.errors import RuntimeFault


class Command(BaseCommand):
    help = "Import a GGUF file and register it as a model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="The GGUF file; it is read, not changed.")
        parser.add_argument("--slug", help="Name in addresses and commands; default: the file's.")
        parser.add_argument("--name", help="Name for people; default: the file's.")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        try:
            with shown_progress(self.stdout) as progress:
                model = services.import_gguf_model(
                    source=file,
                    slug=options["slug"] or slug_from(file.stem),
                    name=options["name"] or file.stem,
                    progress=progress,
                )
        except (RuntimeFault, RegistryError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{model.name} is ready ({model.slug}).")
