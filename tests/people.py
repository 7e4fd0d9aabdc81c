"""A hub that others can reach, and a person of each role in front of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.accounts.roles import Role
from apps.accounts.services import create_account

ClientOf = Callable[[Role | None], Client]


@pytest.fixture
def open_hub(settings: Any) -> None:
    """As with MLXHUB_HOST=0.0.0.0: sign-in for pages, keys for calls."""
    settings.HUB = settings.HUB.model_copy(update={"host": "0.0.0.0"})


@pytest.fixture
def people(db: None) -> dict[Role, User]:
    """An account for each role, named after it; nobody has a password."""
    return {role: create_account(name=role.label, role=role) for role in Role}


@pytest.fixture
def client_of(open_hub: None, people: dict[Role, User]) -> ClientOf:
    """A browser in which somebody of a role has signed in; None: nobody has."""

    def signed_in(role: Role | None) -> Client:
        client = Client()
        if role is not None:
            client.force_login(people[role])
        return client

    return signed_in
