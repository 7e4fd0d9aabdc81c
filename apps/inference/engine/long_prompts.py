"""Long prompts are read on a thread of their own, while the running answers go on.

Half a megabyte takes a tokenizer a quarter of a second, for which everybody would wait.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakKeyDictionary

from apps.inference.engine import protocol
from apps.inference.engine.errors import EngineFault, defect
from apps.inference.engine.job import prompt_of
from apps.inference.engine.pooled_model import PooledModel
from apps.inference.engine.sequence import Call
from apps.inference.engine.text.chat import ChatFormatter, ChatPrompt

logger = logging.getLogger(__name__)

LONG_CHARACTERS = 16_384
"""Shorter ones are read in a few milliseconds, where handing them over would gain nothing."""


def is_long(request: protocol.Generate) -> bool:
    """Whether reading the request's prompt would hold up the running answers."""
    prompt = request.prompt if isinstance(request.prompt, str) else ""
    turns = sum(len(turn.content) + len(turn.reasoning) for turn in request.messages)
    tools = sum(len(tool.description) + len(tool.parameters) for tool in request.tools)
    return len(prompt) + turns + tools > LONG_CHARACTERS


class LongPrompts:
    def __init__(self, read: Callable[[protocol.Generate, Call, ChatPrompt], None]) -> None:
        """``read`` is called with what was read, on this object's thread."""
        self._read = read
        # One thread: a formatter is used by one at a time.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="long-prompts")
        self._formatters: WeakKeyDictionary[PooledModel, ChatFormatter] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._calls: set[Call] = set()

    def __len__(self) -> int:
        """Requests whose prompts are not read yet."""
        return len(self._calls)

    def take(self, request: protocol.Generate, call: Call, model: PooledModel) -> None:
        """Read the request's prompt; a failure ends its call."""
        with self._lock:
            self._calls.add(call)
        self._thread.submit(self._take, request, call, model)

    def end_all(self, event: protocol.Failed) -> None:
        """End the calls whose prompts are not read yet; no more are taken after this."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            calls, self._calls = self._calls, set()
        for call in calls:
            call.emit(event)

    def _take(self, request: protocol.Generate, call: Call, model: PooledModel) -> None:
        outcome: ChatPrompt | protocol.Failed | None = None
        try:
            if not call.cancelled:
                outcome = prompt_of(request, self._formatter(model))
        except EngineFault as fault:
            outcome = fault.event()
        except Exception:  # a bad prompt must not end the thread's work
            logger.exception("a long prompt could not be read")
            outcome = defect()
        with self._lock:
            if call not in self._calls:
                return  # ended meanwhile
            self._calls.remove(call)
            if isinstance(outcome, ChatPrompt):
                self._read(request, call, outcome)
            elif outcome is not None:
                call.emit(outcome)

    def _formatter(self, model: PooledModel) -> ChatFormatter:
        if model not in self._formatters:
            self._formatters[model] = ChatFormatter(model.loaded.tokenizer)
        return self._formatters[model]
