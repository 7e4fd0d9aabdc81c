"""A loaded model that answers, with all that serves it: runner, chat template, draft."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from apps.inference.engine import protocol
from apps.inference.engine.ledger import Footprint
from apps.inference.engine.resident import ResidentModel
from apps.inference.engine.runner import BatchRunner
from apps.inference.engine.sampling.grammar import Grammars
from apps.inference.engine.text.chat import ChatFormatter
from apps.inference.engine.text.vocabulary import Vocabulary


@dataclass(eq=False, kw_only=True)
class PooledModel(ResidentModel):
    runner: BatchRunner
    formatter: ChatFormatter
    namespace: str
    """Names the KV that this model, in this precision, can use."""

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

    def described(self) -> protocol.LoadedModel:
        return (
            super()
            .described()
            .model_copy(
                update={
                    "live_kv_bytes": self.runner.live_kv_bytes,
                    "adapters": self.runner.adapters.names,
                    "speculation": self.runner.speculation,
                }
            )
        )
