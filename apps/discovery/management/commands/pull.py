"""``manage.py pull``: a model from Hugging Face."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.discovery.downloads import services
from apps.discovery.downloads.errors import DownloadError
from apps.discovery.downloads.following import follow, shown, worker_is_alive
from apps.discovery.downloads.models import Download
from apps.discovery.errors import DiscoveryError
from apps.jobs.models import JobState
from apps.models.errors import RegistryError
from apps.models.runtime.errors import RuntimeFault
from apps.models.sizes import readable


class Command(BaseCommand):
    help = "Download a model from Hugging Face and register it. Goes on where it was interrupted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("repo", help="The repository, as OWNER/NAME.")
        parser.add_argument("--name", dest="slug", help="Name here; default: the repository's.")
        parser.add_argument("--revision", help="Branch, tag or commit; default: the newest.")
        parser.add_argument(
            "--detach", action="store_true", help="Leave it to the worker and return at once."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            ordered = services.start(
                repo_id=options["repo"],
                revision=options["revision"] or None,
                slug=options["slug"] or None,
            )
        except (DiscoveryError, RegistryError, RuntimeFault, DownloadError) as error:
            raise CommandError(str(error)) from error
        if ordered.download is None:
            assert ordered.model is not None
            self.stdout.write(f"{options['repo']} is here already, as {ordered.model.slug}.")
            return
        if ordered.joined:
            self.stdout.write(f"{options['repo']} is on its way already.")
        if options["detach"]:
            self._detached(ordered.download)
        else:
            self._followed(ordered.download)

    def _detached(self, download: Download) -> None:
        size = readable(download.bytes_total)
        when = "now" if worker_is_alive() else "when the hub is up (`mlx-hub up`)"
        self.stdout.write(f"{download.repo_id} ({size}) is in the queue; the worker begins {when}.")

    def _followed(self, download: Download) -> None:
        alive = worker_is_alive()
        try:
            with shown(self.stdout, download.bytes_total) as show:
                follow(download, show)
        except KeyboardInterrupt:
            raise CommandError(_left(alive)) from None
        if download.state == JobState.DONE and download.model is not None:
            self.stdout.write(f"{download.model.name} is ready ({download.model.slug}).")
        elif download.state == JobState.PAUSED:
            self.stdout.write("It was paused. The same command goes on from here.")
        elif download.state == JobState.CANCELLED:
            raise CommandError("It was cancelled, and its files are removed.")
        else:
            raise CommandError(download.error)


def _left(alive: bool) -> str:
    if alive:
        return (
            "The worker goes on with it. The same command shows it again; the Downloads page can "
            "pause or cancel it."
        )
    return "Stopped. The same command goes on from here."
