"""Forms about accounts: sign in, set up, invite, change a password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator

from apps.accounts.roles import Role
from apps.accounts.throttle import TooManyFailures

LONGEST_PASSWORD = 1000
"""More characters would only keep the hash busy."""


class _MarkedForm(forms.Form):
    """Its fields with mistakes say so to screen readers."""

    def full_clean(self) -> None:
        super().full_clean()
        for name in self.errors:
            if name in self.fields:
                self.fields[name].widget.attrs["aria-invalid"] = "true"


class _CountedForm(_MarkedForm):
    """Tries at it are counted: after too many, it waits."""

    retry_after: int | None = None
    """Seconds until one more may be tried; None where it may be now."""

    def wait_for(self, error: TooManyFailures) -> None:
        self.add_error(None, str(error))
        self.retry_after = error.retry_after


def _name_field() -> forms.CharField:
    return forms.CharField(
        label="Name",
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )


def _password_field(label: str, autocomplete: str, *, hint: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        strip=False,
        max_length=LONGEST_PASSWORD,
        help_text=hint,
        widget=forms.PasswordInput(attrs={"autocomplete": autocomplete}),
    )


class SignInForm(_CountedForm):
    """A name and a password."""

    name = _name_field()
    password = _password_field("Password", "current-password")


class NewPasswordForm(_MarkedForm):
    """A password that ``user`` is to have. Once: password managers and the eye check it."""

    password = _password_field("New password", "new-password", hint="At least 10 characters.")

    def __init__(self, data: Any = None, *, user: User | None = None) -> None:
        super().__init__(data)
        self._user = user

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, self._user)
        return password


class SetupForm(_CountedForm, NewPasswordForm):
    """The first owner's name and password, with the code that was printed."""

    code = forms.CharField(
        label="Setup code",
        max_length=60,
        help_text="Printed by mlx-hub up on its terminal, and in logs/setup-code.txt.",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "spellcheck": "false"}),
    )
    name = _name_field()

    field_order = ("code", "name", "password")


class OwnPasswordForm(NewPasswordForm):
    """A new password for who knows the old one."""

    old = _password_field("Password now", "current-password")

    field_order = ("old", "password")

    def clean_old(self) -> str:
        old: str = self.cleaned_data["old"]
        if self._user is None or not self._user.check_password(old):
            raise forms.ValidationError("This is not your password.")
        return old


class RoleForm(_MarkedForm):
    """A role for an account."""

    role = forms.TypedChoiceField(
        label="Role",
        choices=[(role.value, role.label.capitalize()) for role in reversed(Role)],
        coerce=lambda value: Role(int(value)),
        initial=Role.MEMBER,
    )


class InviteForm(RoleForm):
    """A name and a role for somebody new."""

    name = _name_field()

    field_order = ("name", "role")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        self.fields["name"].widget.attrs["autocomplete"] = "off"
