"""Each test runs in a context of its own: what it sets of context variables ends with it.

Django's test client runs the asynchronous middlewares in the context of whoever calls it, where a
server gives each request one of its own. So who called, and the marks of the log lines, would
stay for the test that comes next, which is another one in each run of several processes.

A pytest plugin, loaded by the top-level conftest.
"""

from __future__ import annotations

from contextvars import copy_context

import pytest
from _pytest.runner import pytest_runtest_protocol as run_test


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """In place of pytest's own: the same, in a copy of the context."""
    return copy_context().run(run_test, item, nextitem)
