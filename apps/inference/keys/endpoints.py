"""Endpoints that share a limit: what a key may ask for is set per group, not per address.

Counted are the calls that make the hub work: every POST under /v1, and under /api and /admin
what changes something. Reading is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from django.core.exceptions import ValidationError
from django.db import models

from apps.accounts.rules import SAFE_METHODS


class Endpoints(models.TextChoices):
    """The groups. ``OTHER`` has what under /v1 is in none of the named ones."""

    GENERATION = "generation", "Generation"
    EMBEDDINGS = "embeddings", "Embeddings"
    RERANK = "rerank", "Reranking"
    OTHER = "other", "Tokens and others"
    MANAGEMENT = "management", "Management"

    @property
    def says(self) -> str:
        """What is in it."""
        return _SAYS[self]

    @property
    def has_tokens(self) -> bool:
        """Whether its calls cost tokens that could be limited."""
        return self is not Endpoints.MANAGEMENT


_SAYS = {
    Endpoints.GENERATION: "Chat, completions, messages, responses.",
    Endpoints.EMBEDDINGS: "/v1/embeddings.",
    Endpoints.RERANK: "/v1/rerank.",
    Endpoints.OTHER: "The rest of /v1: tokenize, detokenize, counting tokens.",
    Endpoints.MANAGEMENT: "What changes something under /api and /admin.",
}

_OF_ROUTE = {
    "v1/chat/completions": Endpoints.GENERATION,
    "v1/completions": Endpoints.GENERATION,
    "v1/messages": Endpoints.GENERATION,
    "v1/responses": Endpoints.GENERATION,
    "v1/embeddings": Endpoints.EMBEDDINGS,
    "v1/rerank": Endpoints.RERANK,
}


@dataclass(frozen=True)
class Rates:
    """What may be asked for in a minute; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None

    @property
    def in_words(self) -> list[str]:
        """The limits there are; empty where there is none."""
        given = ((self.requests_per_minute, "requests/min"), (self.tokens_per_minute, "tokens/min"))
        return [f"{limit:,} {what}" for limit, what in given if limit is not None]


def endpoints_of(route: str, method: str | None, *, inference: bool) -> Endpoints | None:
    """The group that a call is counted in; None for what is not counted.

    ``route``: as the URL configuration has it, without the leading slash.
    """
    if not inference:
        return None if method in SAFE_METHODS else Endpoints.MANAGEMENT
    return _OF_ROUTE.get(route, Endpoints.OTHER) if method == "POST" else None


def stored(rates: Mapping[Endpoints, Rates]) -> dict[str, dict[str, int]]:
    """As a key's row keeps them: groups and limits that are set, and no others."""
    rows = {
        str(group): {name: limit for name, limit in asdict(each).items() if limit is not None}
        for group, each in rates.items()
    }
    return {group: limits for group, limits in rows.items() if limits}


def check_stored(value: object) -> None:
    """Raises ValidationError for what ``stored`` would not have made."""
    if not isinstance(value, dict):
        raise ValidationError("Limits per endpoint are a JSON object of groups.")
    for group, limits in value.items():
        if group not in Endpoints.values:
            known = ", ".join(Endpoints.values)
            raise ValidationError(f"There is no group {group!r} of endpoints; there are {known}.")
        _check_limits(Endpoints(group), limits)


def _check_limits(group: Endpoints, limits: object) -> None:
    names = ["requests_per_minute"]
    if group.has_tokens:
        names.append("tokens_per_minute")
    if not isinstance(limits, dict) or not set(limits) <= set(names):
        raise ValidationError(f"Limits of {group} are {' and '.join(names)}.")
    for name, limit in limits.items():
        if type(limit) is not int or limit < 1:
            raise ValidationError(f"{group}: {name} is a whole number from 1 on.")
