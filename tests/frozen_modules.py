"""What was there before the first test is left alone by the garbage collector.

The hub's libraries and six thousand tests are millions of objects that never go. Each full
collection would look at all of them, and an engine that frees a model asks for one.

A pytest plugin, loaded by the top-level conftest.
"""

from __future__ import annotations

import gc

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
