"""The first owner of a hub that others can reach.

`mlx-hub up` prints a code; whoever can read its terminal or the data folder may use it, once,
to become the owner. Until then the hub shows nothing but the page that asks for it.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from apps.accounts.models import SetupCode
from apps.accounts.roles import Role
from apps.accounts.services import create_account, has_owner
from apps.audit.actors import Actor
from apps.audit.recording import record

_ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"  # pragma: allowlist secret
"""Without letters and digits that are read as each other."""

_GROUPS, _GROUP_LENGTH = 4, 4
"""16 of 30 characters: 78 random bits, so that a plain digest is enough to keep."""


class WrongCode(Exception):
    """The code is not the one that was printed last, or somebody has used it."""


def owner_is_missing() -> bool:
    """Whether somebody has to become the owner before anything is shown."""
    return settings.HUB.sign_in_required and not has_owner()


def new_code() -> str:
    """A code that replaces the one before it; its file is for those who miss the terminal."""
    groups = (
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS)
    )
    code = "-".join(groups)
    SetupCode.objects.update_or_create(only=True, defaults={"digest": _digest(code)})
    path = code_file()
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(f"{code}\n")
    return code


def code_file() -> Path:
    """Where the code stands until it is used."""
    return Path(settings.HUB.logs_dir) / "setup-code.txt"


def withdraw_code() -> None:
    """No code opens anything any more."""
    SetupCode.objects.all().delete()
    code_file().unlink(missing_ok=True)


def become_owner(*, code: str, name: str, password: str, address: str) -> User:
    """Make the first owner. Of two at the same moment one wins. Raises WrongCode."""
    with transaction.atomic():
        # The deletion is the decision: one transaction alone sees the row go.
        used, _ = SetupCode.objects.filter(digest=_digest(code)).delete()
        if not used or has_owner():
            raise WrongCode(
                "This is not the code that the hub printed at its last start. It stands in the "
                f"terminal of `mlx-hub up` and in `logs/{code_file().name}`."
            )
        user = create_account(name=name, role=Role.OWNER, password=password)
        record("setup.finish", name, actor=Actor("user", name, user.pk, address))
    code_file().unlink(missing_ok=True)
    return user


def _digest(code: str) -> str:
    """However it was typed: case, spaces and dashes say nothing."""
    plain = "".join(letter for letter in code.upper() if letter.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()
