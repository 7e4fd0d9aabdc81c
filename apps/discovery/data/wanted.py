"""What somebody looks for among datasets; the hub itself can look for all of it."""

from __future__ import annotations

from dataclasses import dataclass

from apps.discovery import hub
from apps.discovery.wanted import GATES, SORTS, GateName, SortName


@dataclass(frozen=True)
class DataWanted:
    """A search. Empty: whatever."""

    words: str = ""
    sort: SortName = "trending"
    task: str = ""
    language: str = ""
    size: str = ""
    license: str = ""
    gate: GateName = ""

    def query(self) -> hub.Query:
        kinds = {
            "task_categories": self.task,
            "language": self.language,
            "size_categories": self.size,
            "license": self.license,
        }
        return hub.Query(
            search=self.words,
            filters=tuple(f"{kind}:{value}" for kind, value in kinds.items() if value),
            gated=GATES[self.gate],
            sort=SORTS[self.sort],
        )
