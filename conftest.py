"""Fixtures that every app's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings
from hypothesis import settings as hypothesis_settings

# How long an example takes says more about the machine than about the code.
hypothesis_settings.register_profile("hub", deadline=None)
hypothesis_settings.load_profile("hub")

pytest_plugins = [
    "tests.fake_engine",
    "tests.frozen_modules",
    "tests.lasting_rows",
    "tests.measured_server",
    "tests.own_context",
    "tests.own_loads",
    "tests.people",
    "tests.registry",
]


@pytest.fixture(scope="session", autouse=True)
def uncollected_static_files(django_test_environment: None) -> Iterator[None]:
    """Static files from where they lie: nothing is collected for a unit test."""
    storage = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    with override_settings(
        STORAGES=settings.STORAGES | {"staticfiles": storage}, WHITENOISE_AUTOREFRESH=True
    ):
        yield


@pytest.fixture(scope="session", autouse=True)
def logging_as_it_is(django_test_environment: None) -> Iterator[None]:
    """A command sets Django up again: what is logged from then on would go into its output, which
    is closed with it."""
    with override_settings(LOGGING_CONFIG=None):
        yield
