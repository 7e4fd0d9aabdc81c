"""`mlx-hub users …`: accounts of a hub that others can reach.

Django is set up by the time a command runs, and not before.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mlxhub_site.commands.hub.options import here_only
from mlxhub_site.commands.outcome import BadUsage, NotFound, Refused
from mlxhub_site.commands.output import AsJson, print_json

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from apps.accounts.roles import Role

commands = typer.Typer(no_args_is_help=True, help="Accounts: invite, list, switch off, reset.")

here = here_only("accounts are made where the hub's data folder is.")

UserName = Annotated[str, typer.Argument(help="The account's name.")]


class RoleName(StrEnum):
    """What `--role` takes."""

    OWNER = "owner"
    MEMBER = "member"
    VIEWER = "viewer"


@commands.command("create-owner")
@here
def create_owner(name: UserName) -> None:
    """Make an account that may do everything. Asks for its password."""
    from django.contrib.auth.models import User
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError

    from apps.accounts.roles import Role
    from apps.accounts.services import NameTaken, create_account
    from apps.accounts.setup import withdraw_code

    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    try:
        validate_password(password, User(username=name))
        create_account(name=name, role=Role.OWNER, password=password)
    except ValidationError as error:
        raise BadUsage(" ".join(error.messages)) from error
    except NameTaken as error:
        raise Refused(str(error)) from error
    withdraw_code()
    typer.echo(f"{name} is an owner.")


@commands.command()
@here
def invite(
    name: UserName,
    role: Annotated[RoleName, typer.Option(help="What it may do.")] = RoleName.MEMBER,
    as_json: AsJson = False,
) -> None:
    """Make an account and print the link by which its person sets the password."""
    from apps.accounts.services import NameTaken, create_account

    try:
        user = create_account(name=name, role=_role(role))
    except NameTaken as error:
        raise Refused(str(error)) from error
    _print_link(user, as_json=as_json)


@commands.command("list")
@here
def list_users(as_json: AsJson = False) -> None:
    """List the accounts."""
    from apps.accounts.listing import listed

    found = listed()
    if as_json:
        print_json(
            [
                {
                    "name": person.name,
                    "role": person.role.label if person.role else None,
                    "state": person.state,
                    "last_sign_in": person.last_sign_in and person.last_sign_in.isoformat(),
                }
                for person in found
            ]
        )
        return
    for person in found:
        when = person.last_sign_in
        signed_in = f"signed in {when:%Y-%m-%d %H:%M}" if when else "never signed in"
        role = person.role.label if person.role else "no role"
        typer.echo(f"{person.name:<20} {role:<8} {person.state:<8} {signed_in}")
    if not found:
        typer.echo("There is no account yet. `mlx-hub users create-owner NAME` makes the first.")


@commands.command()
@here
def role(name: UserName, role: Annotated[RoleName, typer.Argument(help="The new role.")]) -> None:
    """Give an account another role; it counts from its next request on."""
    from apps.accounts.services import LastOwner, set_role

    try:
        set_role(_user(name), _role(role))
    except LastOwner as error:
        raise Refused(str(error)) from error
    typer.echo(f"{name} is {role.value}.")


@commands.command()
@here
def disable(name: UserName) -> None:
    """Switch an account off: its sessions and its keys end at once."""
    _switch(name, active=False)
    typer.echo(f"{name} is off.")


@commands.command()
@here
def enable(name: UserName) -> None:
    """Switch an account on again."""
    _switch(name, active=True)
    typer.echo(f"{name} is on.")


@commands.command()
@here
def reset(name: UserName, as_json: AsJson = False) -> None:
    """End an account's password and print a link for a new one. Failed sign-ins are forgotten."""
    from apps.accounts.services import reset_password

    user = _user(name)
    if not user.is_active:
        raise Refused(f"{name} is off. `mlx-hub users enable {name}` switches it on.")
    reset_password(user)
    _print_link(user, as_json=as_json)


def _switch(name: str, *, active: bool) -> None:
    from apps.accounts.services import LastOwner, set_active

    try:
        set_active(_user(name), active=active)
    except LastOwner as error:
        raise Refused(str(error)) from error


def _user(name: str) -> User:
    from django.contrib.auth.models import User

    user = User.objects.filter(username=name).first()
    if user is None:
        raise NotFound(f"There is no account {name!r}. `mlx-hub users list` shows those there are.")
    return user


def _role(name: RoleName) -> Role:
    from apps.accounts.roles import Role

    return Role[name.name]


def _print_link(user: User, *, as_json: bool) -> None:
    from apps.accounts.invitations import invitation_path
    from mlxhub_site.settings import HUB
    from mlxhub_site.supervisor.addresses import network_urls, page_url

    address = next(iter(network_urls(HUB)), page_url(HUB))
    link = f"{address}{invitation_path(user)}"
    if as_json:
        print_json({"name": user.get_username(), "link": link})
    else:
        typer.echo(link)
    typer.echo(
        "Hand it over: whoever opens it sets the password. It works once, for three days. "
        "From elsewhere the hub may have another name; the rest stays.",
        err=True,
    )
