"""An embedding model in memory."""

from __future__ import annotations

from dataclasses import dataclass

from apps.inference.engine.resident import ResidentModel
from apps.models.runtime.embedding.embedder import Embedder


@dataclass(eq=False, kw_only=True)
class EmbeddingModel(ResidentModel):
    """It keeps nothing between two calls: no KV, no batch."""

    embedder: Embedder
