"""A loaded model with all that serves it: tokenizer, runner, chat template, draft."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property

from apps.inference.engine import protocol
from apps.inference.engine.ledger import Footprint
from apps.inference.engine.runner import BatchRunner
from apps.inference.engine.sampling.grammar import Grammars
from apps.inference.engine.text.chat import ChatFormatter
from apps.inference.engine.text.vocabulary import Vocabulary
from apps.models.runtime.loading import LoadedModel


@dataclass(eq=False)
class PooledModel:
    spec: protocol.ModelSpec
    """As the newest call named it: its TTL, pin and draft are those in force."""
    loaded: LoadedModel
    runner: BatchRunner
    formatter: ChatFormatter
    own_footprint: Footprint
    """Without adapters and draft. Its weights are what loading them took."""
    namespace: str
    """Names the KV that this model, in this precision, can use."""
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

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.loaded.tokenizer)

    @cached_property
    def grammars(self) -> Grammars:
        return Grammars(self.loaded.tokenizer)

    @property
    def footprint(self) -> Footprint:
        """With its adapters, and the KV that its draft keeps beside its own."""
        own = self.own_footprint
        drafting = self.draft.own_footprint.kv_bytes_per_token if self.draft else 0
        return Footprint(
            weights_bytes=own.weights_bytes + self.runner.adapters.nbytes,
            working_bytes=own.working_bytes,
            kv_bytes_per_token=own.kv_bytes_per_token + drafting,
        )

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
        named = self.spec.draft is not None
        return protocol.LoadedModel(
            name=self.spec.name,
            digest=self.spec.digest,
            path=self.spec.path,
            context_length=self.loaded.context_length,
            weights_bytes=self.loaded.weights_bytes,
            live_kv_bytes=self.runner.live_kv_bytes,
            loaded_at=self.loaded_at,
            last_used_at=self.last_used_at,
            pinned=self.spec.pinned,
            unloads_at=self.unloads_at,
            measured_bytes=self.own_footprint.weights_bytes,
            adapters=self.runner.adapters.names,
            draft=self.draft.spec.name if self.draft else "" if named else None,
            draft_problem=self.draft_problem,
            speculation=self.runner.speculation,
        )
