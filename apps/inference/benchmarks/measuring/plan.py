"""What one run measures."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from apps.inference.benchmarks.measuring.prompts import SYSTEM_TOKENS

MAX_CLIENTS = 64


def _ascending(clients: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(clients)))


class Plan(BaseModel):
    """How often, with how many clients at once, and with what lengths (in tokens)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int = Field(default=3, ge=1, le=20)
    clients: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MAX_CLIENTS)], ...], AfterValidator(_ascending)
    ] = Field(default=(1, 2, 4, 8, 16), min_length=1, max_length=10)
    system_tokens: int = Field(default=SYSTEM_TOKENS, ge=50, le=100_000)
    decode_tokens: int = Field(default=96, ge=8, le=4096)

    def but(self, **changes: Any) -> Plan:
        """This plan with those ``changes`` that are not None. Raises pydantic.ValidationError."""
        wanted = {name: value for name, value in changes.items() if value is not None}
        return Plan(**(self.model_dump() | wanted))


FULL = Plan()
QUICK = Plan(rounds=1, clients=(1, 4), system_tokens=500, decode_tokens=32)
