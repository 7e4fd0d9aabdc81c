"""Several questions to the hub at once; what one of them lacks does not cost the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from apps.discovery.errors import DiscoveryError, HubUnreachable


@dataclass(frozen=True)
class Brought:
    """What came of the questions, by their names."""

    parts: Mapping[str, Any]
    problems: Mapping[str, str]
    """Why the others have no answer."""
    is_complete: bool
    """False where another try may bring more."""


def ask_at_once(questions: Mapping[str, Callable[[], Any]]) -> Brought:
    """Ask each in a thread of its own; a DiscoveryError is that part's problem alone."""
    parts: dict[str, Any] = {}
    problems: dict[str, str] = {}
    is_complete = True
    with ThreadPoolExecutor(len(questions), "discover") as threads:
        futures = {name: threads.submit(ask) for name, ask in questions.items()}
        for name, future in futures.items():
            try:
                parts[name] = future.result()
            except DiscoveryError as error:
                problems[name] = str(error)
                is_complete = is_complete and not isinstance(error, HubUnreachable)
    return Brought(parts, problems, is_complete)
