"""Loads of models that a test began, or that failed, end with it: a web process keeps them.

A pytest plugin, loaded by the top-level conftest.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.inference.loads import model_loads
from tests.fake_engine import PATIENCE


@pytest.fixture(autouse=True)
def no_loads_stay() -> Iterator[None]:
    yield
    for digest, load in list(model_loads._loads.items()):
        model_loads.cancel(digest)
        assert load.ended.wait(PATIENCE)
        model_loads.forget(digest)
