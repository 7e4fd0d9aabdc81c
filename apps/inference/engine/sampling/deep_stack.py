"""Call recursive native code where deep recursion does not end the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_STACK_BYTES = 256 * 1024 * 1024
"""Address space; memory is taken as deep as the call goes."""

Result = TypeVar("Result")


def on_deep_stack(function: Callable[[], Result]) -> Result:
    """What ``function`` returns or raises, called on a thread with a large stack.

    llguidance's compiler recurses along rules: on a usual stack of 8 MB, some 3,000
    rules that each name the next overflow it, which no process survives.
    """
    outcome: Future[Result] = Future()

    def call() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            outcome.set_exception(error)

    previous = threading.stack_size(_STACK_BYTES)
    try:
        thread = threading.Thread(target=call, name="grammar-compiler")
        thread.start()
    finally:
        threading.stack_size(previous)
    thread.join()
    return outcome.result()
