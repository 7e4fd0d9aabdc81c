"""The model that the hub begins with, from the package that brings it."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from apps.models import landing
from apps.models.models import LocalModel
from apps.models.runtime.starter import find_starter
from apps.models.services import Progress, adopt_gguf, register_folder, require_free

STARTER_SLUG = "smollm2-135m-instruct"
STARTER_NAME = "SmolLM2 135M Instruct"


def register_starter(*, progress: Progress | None = None, again: bool = False) -> LocalModel | None:
    """Make sure the starter model is registered, importing it where it is not yet.

    None where its package is not installed, or where the user deleted the model
    and ``again`` does not ask for it back. Raises ModelFormatError,
    ImportDestinationError, or NameTaken where another model uses its slug.
    """
    gguf = find_starter()
    if gguf is None or (starter_declined() and not again):
        return None
    home = landing.home(STARTER_SLUG)
    require_free(STARTER_SLUG, home)
    with landing.exclusive(STARTER_SLUG):
        model = LocalModel.objects.filter(slug=STARTER_SLUG).first()
        if not home.is_dir():
            model = adopt_gguf(
                source=gguf,
                slug=STARTER_SLUG,
                name=STARTER_NAME,
                kept_by=LocalModel.Source.STARTER,
                progress=progress,
            )
        elif model is None:
            # An import was killed between the folder's move and the row's commit.
            model = register_folder(
                path=home,
                slug=STARTER_SLUG,
                name=STARTER_NAME,
                source=LocalModel.Source.STARTER,
                progress=progress,
            )
        _declined_mark().unlink(missing_ok=True)
        _failed_mark().unlink(missing_ok=True)
    return model


def starter_is_due() -> bool:
    """Whether the starter model is not there, and the user did not delete it.

    In a backup models are named, not kept: restored onto another machine, its row has no folder.
    """
    if starter_declined():
        return False
    registered = LocalModel.objects.filter(slug=STARTER_SLUG).first()
    if registered is None:
        return True
    return registered.source == LocalModel.Source.STARTER and not Path(registered.path).is_dir()


def note_failure(why: str) -> None:
    """Keep why the last try to register it failed."""
    _failed_mark().write_text(why)


def last_failure() -> str:
    """Why the last try to register it failed; empty where it did not."""
    try:
        return _failed_mark().read_text(errors="replace")
    except FileNotFoundError:
        return ""


def starter_declined() -> bool:
    """Whether the user deleted the starter model; it does not come back by itself."""
    return _declined_mark().exists()


def decline_starter() -> None:
    """Remember that the user deleted the starter model."""
    _declined_mark().touch()


def _failed_mark() -> Path:
    return Path(settings.HUB.models_dir) / ".starter-failed"


def _declined_mark() -> Path:
    return Path(settings.HUB.models_dir) / ".starter-declined"
