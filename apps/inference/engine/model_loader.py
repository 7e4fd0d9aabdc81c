"""Model folders to pooled models, part by part, and how much memory that takes."""

from __future__ import annotations

import gc
import hashlib
import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten

from apps.inference.engine import protocol
from apps.inference.engine.embedding.model import EmbeddingModel
from apps.inference.engine.errors import LoadFailed
from apps.inference.engine.ledger import Footprint
from apps.inference.engine.measurements import Measurements
from apps.inference.engine.pooled_model import PooledModel
from apps.inference.engine.prompt_cache.records import FORMAT_VERSION
from apps.inference.engine.resident import ResidentModel
from apps.inference.engine.runner import BatchRunner
from apps.inference.engine.text.chat import ChatFormatter
from apps.models.runtime import accelerator, loading, memory
from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.embedding.embedder import Embedder
from apps.models.runtime.errors import RuntimeFault

logger = logging.getLogger(__name__)

_CPU_PASS = 0.25
"""Bytes of padding that a CPU attends to while it does another pass, as a share of the
weights: with the starter model, 1,000 places take 24 ms and a pass takes 65."""


class ModelLoader:
    def __init__(
        self, profile: AcceleratorProfile, measurements: Measurements, *, default_ttl: float
    ) -> None:
        self._profile = profile
        self._measurements = measurements
        self._default_ttl = default_ttl

    def expected(self, spec: protocol.ModelSpec) -> Footprint:
        """What the model will take, as measured before or else estimated. Raises LoadFailed."""
        try:
            estimate = memory.estimate(Path(spec.path), self._profile)
        except RuntimeFault as error:
            raise _failed(spec, error) from error
        return Footprint(
            weights_bytes=self._measurements.get(spec.digest) or estimate.weights_bytes,
            working_bytes=estimate.overhead_bytes,
            kv_bytes_per_token=estimate.kv_bytes_per_token,
        )

    def load(self, spec: protocol.ModelSpec) -> Generator[int | ResidentModel, None, None]:
        """Yields the bytes in memory after each part, at last the model. Raises LoadFailed.

        Closing it early frees what was loaded.
        """
        expected = self.expected(spec)
        started = time.monotonic()
        meter = _Meter()
        try:
            with closing(loading.load_in_parts(Path(spec.path), self._profile)) as parts:
                for part in meter.over(parts):
                    if isinstance(part, loading.LoadedModel):
                        took = max(meter.nbytes, part.weights_bytes)
                        yield self._resident(spec, part, expected, took)
                    else:
                        yield part
        except RuntimeFault as error:
            raise _failed(spec, error) from error
        self._measurements.record(spec.digest, took)
        seconds = time.monotonic() - started
        logger.info("loaded %s in %.1f s: %d MiB", spec.name, seconds, took // 2**20)

    def mismatch(self, model: PooledModel, draft: PooledModel) -> str:
        """Why ``draft`` can't propose tokens for ``model``; empty where it can.

        Both have to mean the same text by every token. How wide their logits are may
        differ: models of one family pad their vocabularies to different sizes.
        """
        own, other = (m.loaded.tokenizer.get_vocab() for m in (model, draft))
        if own == other:
            return ""
        sizes = "" if len(own) == len(other) else f" ({len(other)} tokens, not {len(own)})"
        return (
            f"{draft.spec.name} has another vocabulary than {model.spec.name}{sizes}. "
            "Choose a draft of the same model family, or none."
        )

    def release(self) -> None:
        """Return the memory of what was dropped to the system."""
        gc.collect()  # layers may refer to each other in a circle
        accelerator.release_memory()

    def _resident(
        self,
        spec: protocol.ModelSpec,
        loaded: loading.LoadedModel,
        expected: Footprint,
        took: int,
    ) -> ResidentModel:
        footprint = replace(expected, weights_bytes=took)
        if loaded.embedding is not None:
            return EmbeddingModel(
                spec=spec,
                loaded=loaded,
                own_footprint=footprint,
                default_ttl=self._default_ttl,
                embedder=Embedder(
                    loaded.model, loaded.embedding, width=loaded.config["hidden_size"]
                ),
            )
        return PooledModel(
            spec=spec,
            loaded=loaded,
            runner=BatchRunner(
                loaded.model, padding_allowed=_padding_allowed(footprint, self._profile)
            ),
            formatter=ChatFormatter(loaded.tokenizer),
            own_footprint=footprint,
            namespace=_namespace(spec, loaded),
            default_ttl=self._default_ttl,
        )


class _Meter:
    """Counts the memory that an iterator's steps take, and not what is computed in between."""

    def __init__(self) -> None:
        self.nbytes = 0

    def over(
        self, parts: Iterator[int | loading.LoadedModel]
    ) -> Iterator[int | loading.LoadedModel]:
        while True:
            # What other models are still computing would count as well.
            mx.synchronize()
            before = mx.get_active_memory()
            part = next(parts, None)
            self.nbytes += mx.get_active_memory() - before
            if part is None:
                return
            yield part


def _padding_allowed(footprint: Footprint, profile: AcceleratorProfile) -> int:
    """Tokens of padding that cost a batch about as much as a second forward pass would.

    Decoding is bound by what it reads. On a GPU another pass reads the weights again,
    and padding is read as KV. On a CPU, attention over padding is slow beside a pass.
    """
    share = _CPU_PASS if profile.backend == "cpu" else 1.0
    return int(share * footprint.weights_bytes) // max(1, footprint.kv_bytes_per_token)


def _failed(spec: protocol.ModelSpec, error: RuntimeFault) -> LoadFailed:
    return LoadFailed(f"{spec.name} could not be loaded: {error}")


def _namespace(spec: protocol.ModelSpec, loaded: loading.LoadedModel) -> str:
    """KV depends on the model's content and the precision it is computed in, not its path."""
    precisions = {str(array.dtype) for _, array in tree_flatten(loaded.model.parameters())}
    identity = f"{spec.digest}|{sorted(precisions)}|{FORMAT_VERSION}"
    return hashlib.sha256(identity.encode()).hexdigest()[:24]
