"""What the tests of all commands share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output as a pipe gets it, whatever width the tests themselves are shown in."""
    monkeypatch.delenv("COLUMNS", raising=False)
