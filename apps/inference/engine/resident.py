"""A model in memory, whatever it is for: how long it stays, and how much it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apps.inference.engine import protocol
from apps.inference.engine.ledger import Footprint
from apps.models.runtime.loading import LoadedModel

if TYPE_CHECKING:  # drafts are models that answer
    from apps.inference.engine.pooled_model import PooledModel


@dataclass(eq=False, kw_only=True)
class ResidentModel:
    """What the pool has to know of a model."""

    spec: protocol.ModelSpec
    """As the newest call named it: its TTL, pin and draft are those in force."""
    loaded: LoadedModel
    own_footprint: Footprint
    """Without adapters and draft. Its weights are what loading them took."""
    default_ttl: float
    """Seconds; in force where the spec names none. 0: it stays."""
    draft: PooledModel | None = None
    """Proposes tokens for speculative decoding: a model with the same tokenizer.

    The widths of their logits may differ, by padding. It is in the pool as well.
    """
    draft_problem: str = ""
    """Why the draft that the spec names is not used; empty where it is, or none is named."""
    asked_for: bool = True
    """Whether anyone asked for it by name; else it was loaded as a draft only."""
    loaded_at: float = field(default_factory=time.time)
    last_used_at: float = field(default_factory=time.time)

    @property
    def footprint(self) -> Footprint:
        """With all that came to it since it was loaded."""
        return self.own_footprint

    @property
    def ttl(self) -> float:
        """Seconds that it stays without use; 0: for good."""
        return self.default_ttl if self.spec.ttl_seconds is None else self.spec.ttl_seconds

    @property
    def unloads_at(self) -> float | None:
        """When it goes if nobody uses it, in seconds since the epoch; None: it stays."""
        if self.spec.pinned or not self.ttl or not self.asked_for:
            return None
        return self.last_used_at + self.ttl

    def described(self) -> protocol.LoadedModel:
        """For those who ask what is loaded."""
        named = self.spec.draft is not None
        return protocol.LoadedModel(
            name=self.spec.name,
            digest=self.spec.digest,
            path=self.spec.path,
            context_length=self.loaded.context_length,
            weights_bytes=self.loaded.weights_bytes,
            live_kv_bytes=0,
            loaded_at=self.loaded_at,
            last_used_at=self.last_used_at,
            pinned=self.spec.pinned,
            unloads_at=self.unloads_at,
            measured_bytes=self.own_footprint.weights_bytes,
            draft=self.draft.spec.name if self.draft else "" if named else None,
            draft_problem=self.draft_problem,
        )
