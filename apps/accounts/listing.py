"""The accounts as the Users page and the command line show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser, User

from apps.accounts.roles import Role
from apps.accounts.services import people


@dataclass(frozen=True)
class Person:
    """One account. ``role`` is None where an account of Django's admin never got one."""

    key: int
    name: str
    role: Role | None
    state: str
    """on, off, or invited: nobody set its password yet."""
    is_me: bool
    last_sign_in: datetime | None


def listed(me: User | AnonymousUser | None = None) -> list[Person]:
    """All accounts, by name."""
    mine = me.pk if me is not None else None
    return [_person(user, is_me=user.pk == mine) for user in people()]


def _person(user: User, *, is_me: bool) -> Person:
    account = getattr(user, "account", None)
    role = Role.OWNER if user.is_superuser else Role(account.role) if account else None
    state = "on" if user.has_usable_password() else "invited"
    return Person(
        key=user.pk,
        name=user.get_username(),
        role=role,
        state=state if user.is_active else "off",
        is_me=is_me,
        last_sign_in=user.last_login,
    )
