"""The kinds of objects and their permissions stay, as migrations made them.

After a test that commits, Django empties all tables. It would then make those rows anew, the
same ones, which takes longer than many of these tests.

A pytest plugin, loaded by the top-level conftest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management.commands import flush

LASTING = frozenset({"auth_permission", "django_content_type"})


@pytest.fixture(scope="session", autouse=True)
def lasting_rows() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", _without_lasting)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *_: None)
        yield


def _without_lasting(style: Any, connection: Any, **options: bool) -> list[str]:
    """As Django's function, for the other tables."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    emptied = [table for table in tables if table not in LASTING]
    statements: list[str] = connection.ops.sql_flush(style, emptied, **options)
    return statements
