"""What people may do: three roles, each with all that the ones below it may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.db import models

if TYPE_CHECKING:
    from django.contrib.auth.models import User


class Role(models.IntegerChoices):
    """Ordered, so that `role >= Role.MEMBER` reads as it should."""

    VIEWER = 1, "viewer"
    MEMBER = 2, "member"
    OWNER = 3, "owner"

    @property
    def meaning(self) -> str:
        """In one sentence, for forms and refusals."""
        return _MEANINGS[self]


_MEANINGS = {
    Role.VIEWER: "Looks at everything that is not the owner's alone, and changes nothing.",
    Role.MEMBER: "Chats, downloads, prepares data and trains; makes keys of their own.",
    Role.OWNER: "Everything: people, keys, models' settings, files on this machine, the audit log.",
}


def role_of(user: User | AnonymousUser) -> Role | None:
    """The account's role now; None for nobody, and for an account that is switched off."""
    if not user.is_authenticated or not user.is_active:
        return None
    if user.is_superuser:
        return Role.OWNER  # also one that `manage.py createsuperuser` made
    from apps.accounts.models import Account

    role = Account.objects.filter(user=user).values_list("role", flat=True).first()
    return None if role is None else Role(role)
