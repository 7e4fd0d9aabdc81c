"""Accounts: who may do what, the code for the first owner, and failed sign-ins."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models

from apps.accounts.roles import Role


class Account(models.Model):
    """A person's role. Name, password and whether the account is on are Django's user's."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="account"
    )
    role = models.PositiveSmallIntegerField(choices=Role, default=Role.MEMBER)

    class Meta:
        ordering = ("user__username",)

    def __str__(self) -> str:
        return f"{self.user.get_username()}, {Role(self.role).label}"


class SetupCode(models.Model):
    """The code that makes the first owner. There is one row at most; using it deletes it."""

    only = models.BooleanField(primary_key=True, default=True, editable=False)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the code.")

    def __str__(self) -> str:
        return "The code for the first owner"


class FailedSignInQuerySet(models.QuerySet["FailedSignIn"]):
    def since(self, moment: datetime) -> FailedSignInQuerySet:
        return self.filter(at__gt=moment)


class FailedSignIn(models.Model):
    """A sign-in that failed, or is being tried. The throttle counts them."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    name = models.CharField(max_length=64, help_text="Digest of the account's name, as given.")
    address = models.CharField(max_length=64, help_text="A network address, or an IPv6 /64.")

    objects = FailedSignInQuerySet.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("address", "at"), name="failures_of_address"),
            models.Index(fields=("name", "at"), name="failures_of_name"),
        )

    def __str__(self) -> str:
        return f"A failure from {self.address} at {self.at:%Y-%m-%d %H:%M:%S}"
