"""The data folder of a hub before its first start, made once for all hubs of a test run.

A hub that starts on nothing makes its database, collects its static files and imports the
starter model: ten seconds of a core, and every time the same. So it is done once, by the same
functions, and copied. The README's quick start is tested on a hub that starts on nothing.

``python -m tests.prepared_folder``, with the hub's MLXHUB_HOME, does what is due there.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path


def prepare_folder(home: Path, settings: Mapping[str, str]) -> None:
    """Fill a hub's folder that nothing was started on yet. ``settings``: the hub's."""
    starter = settings.get("MLXHUB_STARTER", "1").lower() not in ("0", "false")
    prepared = _prepared(starter=starter)
    shutil.copytree(prepared, home, dirs_exist_ok=True)
    _settle_in(home)


@functools.cache
def _prepared(*, starter: bool) -> Path:
    home = Path(tempfile.mkdtemp(prefix="mlxhub-prepared-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    if starter:
        shutil.copytree(_prepared(starter=False), home, dirs_exist_ok=True)
    environment = {"MLXHUB_HOME": str(home), "MLXHUB_STARTER": str(starter)}
    subprocess.run(
        [sys.executable, "-m", "tests.prepared_folder"],
        env=os.environ | environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return home


def _settle_in(home: Path) -> None:
    """The registry names folders in full."""
    with closing(sqlite3.connect(home / "hub.sqlite3")) as database, database:
        database.execute(
            "update models_localmodel set path = ? || slug", (f"{home / 'models'}{os.sep}",)
        )


def _prepare_own() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    from apps.system.static_files import collect_static

    call_command("migrate", verbosity=0)
    collect_static()
    if settings.HUB.starter:
        call_command("register_starter")
    # The last one that leaves writes what is in the log into the database.
    connections.close_all()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlxhub_site.settings")
    _prepare_own()
