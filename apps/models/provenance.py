"""How a model or an adapter was made, for those who tell others of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.models.models import Adapter, LocalModel
from apps.models.signals import provenance_asked


@dataclass(frozen=True)
class Provenance:
    """Of a training: what it learnt, how, and how well."""

    method: str
    data: str
    """The data's name; no path of this machine."""
    settings: str
    """As mlx-lm's YAML, without paths."""
    figures: Sequence[tuple[str, str]]
    """Names and values."""


def provenance_of(model: LocalModel, adapter: Adapter | None) -> Provenance | None:
    """What is known of the making; None where nobody knows."""
    answers: list[tuple[Any, Any]] = provenance_asked.send(LocalModel, model=model, adapter=adapter)
    return next((answer for _, answer in answers if isinstance(answer, Provenance)), None)
