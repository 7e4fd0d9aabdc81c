"""Everything that runs on the models, for whoever wants to unload one."""

from __future__ import annotations

from dataclasses import dataclass

from apps.inference.engine.embedding.work import EmbeddingWork
from apps.inference.engine.scheduler import Scheduler


@dataclass(frozen=True)
class Workload:
    """Answers, which keep KV, and embeddings, which don't."""

    answers: Scheduler
    embeddings: EmbeddingWork

    def uses(self, model: str) -> bool:
        """Whether anything of the model, named by its digest, waits or runs."""
        return self.answers.uses(model) or self.embeddings.uses(model)

    def reserved_tokens(self, model: str) -> int:
        """KV tokens that the model's running sequences may come to hold."""
        return self.answers.reserved_tokens(model)
