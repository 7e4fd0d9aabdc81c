"""Making and changing accounts. Every change is in the audit log with it, or not at all."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from apps.accounts.models import Account, FailedSignIn
from apps.accounts.roles import Role
from apps.accounts.throttle import digest_of_name
from apps.audit.recording import record


class AccountProblem(Exception):
    """The change is not made; the message says why and what to do."""


class NameTaken(AccountProblem):
    """There is an account of this name."""


class LastOwner(AccountProblem):
    """Nobody would be left who may do everything."""


def owners() -> QuerySet[User]:
    """The accounts that may do everything and are on."""
    return User.objects.filter(is_superuser=True, is_active=True)


def has_owner() -> bool:
    """Whether anybody can sign in as an owner, or was invited to."""
    return owners().exists()


def people() -> QuerySet[User]:
    """All accounts, by name."""
    return User.objects.select_related("account").order_by("username")


def create_account(*, name: str, role: Role, password: str | None = None) -> User:
    """A new account; without a password nobody can sign in before its invitation is taken.

    Raises NameTaken.
    """
    with transaction.atomic():
        if User.objects.filter(username__iexact=name).exists():
            raise NameTaken(f"There is an account {name!r} already. Choose another name.")
        user = User(username=name, is_staff=role is Role.OWNER, is_superuser=role is Role.OWNER)
        user.set_password(password)
        user.save()
        Account.objects.create(user=user, role=role)
        record("user.create", name, role=role.label)
    return user


def set_role(user: User, role: Role) -> None:
    """Counts from the account's next request on. Raises LastOwner."""
    with transaction.atomic():
        _keep_an_owner(user, stays_owner=role is Role.OWNER and user.is_active)
        Account.objects.update_or_create(user=user, defaults={"role": role})
        user.is_staff = user.is_superuser = role is Role.OWNER
        user.save(update_fields=["is_staff", "is_superuser"])
        record("user.role", user.get_username(), role=role.label)


def set_active(user: User, *, active: bool) -> None:
    """Switch an account on or off; off ends its sessions and its keys. Raises LastOwner."""
    with transaction.atomic():
        _keep_an_owner(user, stays_owner=active and user.is_superuser)
        user.is_active = active
        user.save(update_fields=["is_active"])
        record("user.enable" if active else "user.disable", user.get_username())


def change_password(user: User, password: str) -> None:
    """Ends the account's other sessions, which carry a digest of the old one."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        record("user.password", user.get_username())


def reset_password(user: User) -> None:
    """Nobody can sign in with the old password; an invitation sets a new one."""
    with transaction.atomic():
        user.set_unusable_password()
        user.save(update_fields=["password"])
        FailedSignIn.objects.filter(name=digest_of_name(user.get_username())).delete()
        record("user.reset", user.get_username())


def _keep_an_owner(user: User, *, stays_owner: bool) -> None:
    # Locked, so that two owners can't switch each other off at once.
    left = [each.pk for each in owners().select_for_update() if each.pk != user.pk]
    if user.is_superuser and user.is_active and not stays_owner and not left:
        raise LastOwner(
            f"{user.get_username()} is the only owner. Make somebody else an owner first."
        )
