"""The memory ledger: who claims what under the ceiling, and who gives way. Knows no MLX.

    ceiling ≥ models, drafts and adapters + working memory + live KV + cached KV

- A model claims its weights from the moment its load begins, and KV for the
  sequences that run on it.
- Working memory counts once, for the model that needs most: one pass runs at a time.
- The prompt cache has what is left, up to its own budget. It gives way first: what
  it drops from memory stays on disk.
- Idle models give way next, least recently used first: to a load, and to answers.
- What ``stays`` gives way to nothing: it answers, is pinned, is being loaded, or drafts.

A ledger is a value: it decides, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from apps.inference.engine.errors import InsufficientMemory

SHORT_CONVERSATION = 1024
"""KV tokens that have to fit beside a model for it to be worth loading."""

_GIB = 1024**3
_MIB = 1024**2


@dataclass(frozen=True)
class Footprint:
    """Bytes a model takes: its weights, one forward pass, and each token of context."""

    weights_bytes: int
    working_bytes: int
    kv_bytes_per_token: int


@dataclass(frozen=True)
class Claim:
    """What one model holds or will hold."""

    digest: str
    name: str
    footprint: Footprint
    kv_tokens: int = 0
    """Reserved by the sequences that run on it."""
    stays: str = ""
    """Why it can't be unloaded now, such as "answering now"; empty where it can."""
    pinned: bool = False
    """Whether it stays when it is idle, too."""
    last_used_at: float = 0.0
    purpose: str = "for its weights, its work and a short conversation"
    """What the memory is for, as a refusal says it."""
    advice: str = "choose a smaller or more quantised model"
    """What else would help, besides unloading others."""

    @property
    def bytes(self) -> int:
        """All but the working memory."""
        footprint = self.footprint
        return footprint.weights_bytes + self.kv_tokens * footprint.kv_bytes_per_token


@dataclass(frozen=True)
class Ledger:
    ceiling: int
    """Bytes."""
    claims: tuple[Claim, ...]

    @property
    def claimed(self) -> int:
        """Bytes of everything but the prompt cache."""
        working = max((claim.footprint.working_bytes for claim in self.claims), default=0)
        return sum(claim.bytes for claim in self.claims) + working

    @property
    def left(self) -> int:
        """Bytes that the prompt cache may hold."""
        return max(0, self.ceiling - self.claimed)

    @property
    def fits(self) -> bool:
        """Whether the claims fit, once idle models have left."""
        return self._squeezed()[1].claimed <= self.ceiling

    def kv_budget(self, digest: str) -> int:
        """KV tokens that a model's sequences may hold together now.

        What other models' sequences hold is theirs; idle models would be unloaded for it.
        """
        return self._kv_beside(digest, [claim for claim in self.claims if claim.stays])

    def kv_capacity(self, digest: str) -> int:
        """KV tokens that a model's sequences could hold if no other model were in use."""
        return self._kv_beside(digest, [claim for claim in self.claims if claim.pinned])

    def room(self, digest: str) -> int:
        """Bytes that a model may take beside what it claims; idle models would be unloaded."""
        staying = (claim for claim in self.claims if claim.stays or claim.digest == digest)
        return Ledger(self.ceiling, tuple(staying)).left

    def _kv_beside(self, digest: str, staying: list[Claim]) -> int:
        mine = next(claim for claim in self.claims if claim.digest == digest)
        others = [claim for claim in staying if claim is not mine]
        rest = Ledger(self.ceiling, (*others, replace(mine, kv_tokens=0)))
        # A recurrent model keeps nothing per token.
        return rest.left // max(1, mine.footprint.kv_bytes_per_token)

    def leaving(self) -> tuple[Claim, ...]:
        """Idle models to unload until the claims fit, or until there is none."""
        return self._squeezed()[0]

    def leaving_for(self, claim: Claim) -> tuple[Claim, ...]:
        """Idle models to unload so that ``claim`` fits. Raises InsufficientMemory."""
        leaving, rest = Ledger(self.ceiling, (*self.claims, claim))._squeezed()
        if rest.claimed > self.ceiling:
            raise InsufficientMemory(rest._refusal(claim))
        return leaving

    def _squeezed(self) -> tuple[tuple[Claim, ...], Ledger]:
        """Who leaves, least recently used first, and the ledger without them."""
        leaving: list[Claim] = []
        rest = self
        for claim in sorted(self.claims, key=lambda claim: claim.last_used_at):
            if rest.claimed <= self.ceiling:
                break
            if not claim.stays:
                leaving.append(claim)
                rest = rest._without(claim)
        return tuple(leaving), rest

    def _without(self, *gone: Claim) -> Ledger:
        return Ledger(self.ceiling, tuple(claim for claim in self.claims if claim not in gone))

    def _refusal(self, claim: Claim) -> str:
        """Why ``claim`` does not fit among claims that all stay, and what would help."""
        others = self._without(claim)
        needed = self.claimed - others.claimed
        advice = f"{claim.advice}, or raise MLXHUB_MEMORY_CEILING_GB."
        unload = self._unloading(claim)
        return (
            f"{claim.name} needs {readable(needed)} {claim.purpose}; "
            f"{readable(others.left)} are to be had under the memory ceiling of "
            f"{readable(self.ceiling)}. "
            + (f"{unload}, {advice}" if unload else advice[0].upper() + advice[1:])
        )

    def _unloading(self, claim: Claim) -> str:
        """What would have to be unloaded for ``claim``; empty where nothing would help."""
        others = sorted(self._without(claim).claims, key=lambda other: -other.bytes)
        enough = [o for o in others if self._without(o).claimed <= self.ceiling]
        if enough:
            return "Unload " + " or ".join(_described(other) for other in reversed(enough))
        for count in range(2, len(others) + 1):
            if self._without(*others[:count]).claimed <= self.ceiling:
                return "Unload " + " and ".join(_described(other) for other in others[:count])
        return ""


def readable(nbytes: int) -> str:
    """Bytes for people: in GiB, small numbers in MiB."""
    return f"{nbytes / _GIB:.1f} GiB" if nbytes >= _GIB / 10 else f"{nbytes / _MIB:.1f} MiB"


def _described(claim: Claim) -> str:
    return f"{claim.name} ({readable(claim.bytes)}, {claim.stays})"
