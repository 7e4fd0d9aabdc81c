"""The data folder of this machine, opened: Django set up, its errors in plain words.

Commands open it as late as they can: the options of `up` have to be in the environment
before the settings are read, and a command for another hub must leave no folder behind.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import django

from mlxhub_site.commands.outcome import BadUsage, CommandFailed, Refused

if TYPE_CHECKING:
    from pydantic import ValidationError


def set_up_django() -> None:
    """Raises CommandFailed where the configuration is wrong or the data folder can't be used."""
    from pydantic import ValidationError

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlxhub_site.settings")
    try:
        _take_back_half_a_restore()
        django.setup()
    except ValidationError as error:
        raise BadUsage(_described(error)) from error
    except OSError as error:
        raise CommandFailed(
            f"The data folder can't be used: {error}. Make it a folder that you can write to, "
            "with room on its disk, or set MLXHUB_HOME to another one."
        ) from error
    except sqlite3.Error as error:  # huey opens its queue on import
        raise CommandFailed(
            f"queue.sqlite3 in the data folder can't be opened: {error}. Check that you can write "
            "there. A damaged queue may be deleted; it holds only tasks that wait."
        ) from error


def _take_back_half_a_restore() -> None:
    """Before anything is opened that a killed `mlx-hub restore` was about to exchange."""
    from mlxhub_site.settings import HUB
    from mlxhub_site.upkeep.errors import UpkeepRefused
    from mlxhub_site.upkeep.locks import alone
    from mlxhub_site.upkeep.swapping import is_underway, undo

    if not is_underway(HUB.data_dir):
        return
    try:
        with alone(HUB.data_dir / "run", doing="taking back a restore"):
            undo(HUB.data_dir)
    except UpkeepRefused as error:
        raise Refused(str(error)) from error


def _described(error: ValidationError) -> str:
    problems = (
        f"MLXHUB_{'_'.join(str(part) for part in problem['loc']).removeprefix('MLXHUB_').upper()}: "
        f"{problem['msg']}"
        for problem in error.errors()
    )
    return "The configuration is not valid. " + "; ".join(problems)
