"""A sum of named bytes: what an estimate is made of, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Verdict = Literal["fits", "tight", "too big"]

ERROR_BOUND = 0.15
"""How far a measured peak may lie from its estimate; `python -m benchmarks fit` holds it."""


class Device(Protocol):
    """What an estimate asks of a device; AcceleratorProfile is one."""

    @property
    def backend(self) -> str:
        """ "metal", "cuda" or "cpu"."""

    @property
    def compute_float32(self) -> bool:
        """Whether weights are held in float32 for inference, whatever their files have."""


@dataclass(frozen=True)
class Term:
    """One part of an estimate."""

    label: str
    nbytes: int
    how: str
    """How the bytes were counted, in words."""


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak of one kind of work, as the sum of its terms."""

    terms: tuple[Term, ...]

    @property
    def total(self) -> int:
        return sum(term.nbytes for term in self.terms)

    def verdict(self, free_bytes: int) -> Verdict:
        """Whether it goes into ``free_bytes``.

        "fits" leaves room for the estimate's own error, "tight" does not, and what is
        "too big" by its estimate the engine refuses to load.
        """
        if self.total > free_bytes:
            return "too big"
        return "fits" if self.total * (1 + ERROR_BOUND) <= free_bytes else "tight"
