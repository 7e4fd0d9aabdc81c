"""``manage.py pull``: a model from Hugging Face."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.discovery import services
from apps.discovery.errors import DiscoveryError
from apps.models.errors import RegistryError
from apps.models.management.progress import shown_progress
from apps.models.runtime.errors import RuntimeFault


class Command(BaseCommand):
    help = "Download a model from Hugging Face and register it. Goes on where it was interrupted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("repo", help="The repository, as OWNER/NAME.")
        parser.add_argument("--name", dest="slug", help="Name here; default: the repository's.")
        parser.add_argument("--revision", help="Branch, tag or commit; default: the newest.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with shown_progress(self.stdout) as progress:
                pulled = services.pull(
                    repo_id=options["repo"],
                    revision=options["revision"],
                    slug=options["slug"],
                    progress=progress,
                )
        except (DiscoveryError, RegistryError, RuntimeFault) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. The same command goes on from here.") from None
        if pulled.downloaded:
            self.stdout.write(f"{pulled.model.name} is ready ({pulled.model.slug}).")
        else:
            self.stdout.write(f"{options['repo']} is here already, as {pulled.model.slug}.")
