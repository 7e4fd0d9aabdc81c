"""``manage.py import_model``: a model that lies on this machine joins the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.models.errors import RegistryError
from apps.models.found.scan import Find, found, named
from apps.models.importing.orders import order_for, run
from apps.models.management.progress import shown_progress
from apps.models.runtime.errors import RuntimeFault
from apps.models.sizes import readable
from apps.models.work.plans import ImportPlan


class Command(BaseCommand):
    help = "Register a GGUF file, a model folder, or a model that another program keeps here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", nargs="?", help="A path, or a name that --found lists.")
        parser.add_argument("--name", help="Name here; default: as there.")
        parser.add_argument("--found", action="store_true", help="List what is found instead.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["found"]:
            self._list()
            return
        if not options["what"]:
            raise CommandError("Give a path, or a name that `mlx-hub import --found` lists.")
        try:
            order = _order(options["what"], options["name"] or "")
            with shown_progress(self.stdout) as progress:
                model = run(order, progress)
        except (RuntimeFault, RegistryError) as error:
            raise CommandError(str(error)) from error
        stays = f"; its files stay in {order.path}" if order.path.is_dir() else ""
        self.stdout.write(f"{model.name} is ready ({model.slug}){stays}.")

    def _list(self) -> None:
        finds = found()
        for find in finds:
            self.stdout.write(_line(find))
        if not finds:
            self.stdout.write(
                "No other program keeps a model here. `mlx-hub import PATH` takes any."
            )


def _order(what: str, name: str) -> ImportPlan:
    """What to import: a path where there is one, else what goes by that name."""
    path = Path(what)  # the shell has put the home folder in already
    finds = [] if path.exists() else named(what)
    if len(finds) > 1:
        names = ", ".join(find.name for find in finds)
        raise CommandError(f"Several are called {what!r}: {names}. Give the whole name.")
    if not finds:
        return order_for(path, name)
    return order_for(finds[0].path, name or finds[0].label)


def _line(find: Find) -> str:
    kind = "GGUF" if find.is_gguf else "MLX folder"
    facts = ", ".join(part for part in (kind, find.detail) if part)
    size = readable(find.size_bytes)
    problem = f"; can't be imported: {find.problem}" if find.problem else ""
    return f"{find.name:<50} {size:>9}  {find.place}, {facts}{problem}"
