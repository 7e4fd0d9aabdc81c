"""Links by which people set their own password: nobody else ever knows it.

A link is signed by Django's password reset: it works once, for three days, and a newer reset
of the account ends it.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode


def invitation_path(user: User) -> str:
    """The link's path; its holder may set the account's password."""
    number = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("accounts:join", args=[number, default_token_generator.make_token(user)])


def invited(number: str, token: str) -> User | None:
    """Whose link it is; None where it was used, is too old, or never was one."""
    try:
        key = int(urlsafe_base64_decode(number).decode())
    except (ValueError, UnicodeDecodeError):
        return None
    user = User.objects.filter(pk=key, is_active=True).first() if key < 2**63 else None
    if user is None or not default_token_generator.check_token(user, token):
        return None
    return user
