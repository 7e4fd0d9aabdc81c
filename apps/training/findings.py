"""What preflight has to say about a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """Something about a job that its owner should know."""

    level: Literal["refused", "warning", "note"]
    text: str
    """What, why, and what to do."""
    safer: dict[str, Any] = field(default_factory=dict)
    """Settings that mend it, by TrainingConfig's names."""
