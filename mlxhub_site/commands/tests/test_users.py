"""`mlx-hub users`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from typer.testing import CliRunner, Result

from apps.accounts.models import FailedSignIn
from apps.accounts.roles import role_of
from apps.audit.models import AuditEntry
from mlxhub_site.cli import app

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "a long enough one"


@pytest.fixture(autouse=True)
def _fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ("users", *arguments), input=given)


def make_owner() -> None:
    result = run("create-owner", "ada", given=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output


def test_the_first_owner_is_made_with_a_password_that_is_not_shown() -> None:
    make_owner()
    user = User.objects.get()
    assert user.check_password(PASSWORD)
    assert role_of(user).label == "owner"
    entry = AuditEntry.objects.get()
    assert (entry.actor_kind, entry.action, entry.subject) == ("program", "user.create", "ada")


def test_a_weak_password_makes_nobody() -> None:
    result = run("create-owner", "ada", given="short\nshort\n")
    assert result.exit_code == 2
    assert "too short" in result.stderr
    assert not User.objects.exists()


def test_an_invitation_is_a_link_alone_on_standard_output() -> None:
    result = run("invite", "grace", "--role", "viewer")
    assert result.stdout.startswith("http://127.0.0.1:8080/join/")
    path = "/" + result.stdout.strip().split("/", 3)[3]
    assert Client().post(path, {"password": PASSWORD}).status_code == 302
    assert role_of(User.objects.get()).label == "viewer"


def test_a_link_is_json_for_programs() -> None:
    invited = json.loads(run("invite", "grace", "--json").stdout)
    assert (invited["name"], "/join/" in invited["link"]) == ("grace", True)


def test_the_list_shows_role_and_state() -> None:
    assert "create-owner" in run("list").stdout
    run("invite", "grace")
    assert "member   invited  never signed in" in run("list").stdout
    assert json.loads(run("list", "--json").stdout) == [
        {"name": "grace", "role": "member", "state": "invited", "last_sign_in": None}
    ]


def test_an_account_is_changed_and_switched_off_and_on() -> None:
    run("invite", "grace")
    assert run("role", "grace", "owner").stdout == "grace is owner.\n"
    make_owner()
    assert run("disable", "grace").stdout == "grace is off.\n"
    assert run("reset", "grace").exit_code == 5
    assert run("enable", "grace").stdout == "grace is on.\n"


def test_a_reset_ends_the_password_and_the_waiting() -> None:
    make_owner()
    for _ in range(6):
        Client().post("/sign-in/", {"name": "ada", "password": "wrong"})
    assert "/join/" in run("reset", "ada").stdout
    assert not User.objects.get().has_usable_password()
    assert not FailedSignIn.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("invite", "ada"), 5, "There is an account 'ada' already."),
        (("disable", "ada"), 5, "ada is the only owner."),
        (("role", "ada", "viewer"), 5, "ada is the only owner."),
        (("reset", "nobody"), 3, "There is no account 'nobody'."),
    ],
)
def test_what_does_not_work_says_why(arguments: tuple[str, ...], status: int, said: str) -> None:
    make_owner()
    result = run(*arguments)
    assert result.exit_code == status
    assert said in result.stderr
