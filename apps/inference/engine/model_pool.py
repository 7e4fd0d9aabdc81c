"""Loaded models: weights, tokenizer and runner of each, under one memory ceiling."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_flatten

from apps.inference.engine import protocol
from apps.inference.engine.errors import InsufficientMemory, LoadFailed, ModelBusy, ModelNotLoaded
from apps.inference.engine.prompt_cache.records import FORMAT_VERSION
from apps.inference.engine.runner import BatchRunner
from apps.inference.engine.text.chat import ChatFormatter
from apps.models.runtime import loading, memory
from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.errors import RuntimeFault

logger = logging.getLogger(__name__)

GIB = 1024**3


@dataclass
class PooledModel:
    spec: protocol.ModelSpec
    loaded: loading.LoadedModel
    runner: BatchRunner
    formatter: ChatFormatter
    kv_bytes_per_token: int
    namespace: str
    """Names the KV that this model, in this precision, can use."""
    loaded_at: float = field(default_factory=time.time)
    last_used_at: float = field(default_factory=time.time)

    def described(self) -> protocol.LoadedModel:
        return protocol.LoadedModel(
            name=self.spec.name,
            digest=self.spec.digest,
            path=self.spec.path,
            context_length=self.loaded.context_length,
            weights_bytes=self.loaded.weights_bytes,
            live_kv_bytes=self.runner.live_kv_bytes,
            loaded_at=self.loaded_at,
            last_used_at=self.last_used_at,
        )


class ModelPool:
    def __init__(
        self,
        profile: AcceleratorProfile,
        *,
        ceiling_bytes: int,
        cache_bytes: int,
        busy: Callable[[str], bool],
    ) -> None:
        """``cache_bytes``: the prompt cache's budget. ``busy``: whether a model is in use."""
        self._profile = profile
        self._ceiling = ceiling_bytes
        self._cache_bytes = cache_bytes
        self._busy = busy
        self._models: dict[str, PooledModel] = {}

    def __iter__(self) -> Iterator[PooledModel]:
        return iter(self._models.values())

    def __contains__(self, digest: str) -> bool:
        return digest in self._models

    def __getitem__(self, digest: str) -> PooledModel:
        return self._models[digest]

    def get(self, spec: protocol.ModelSpec) -> PooledModel:
        """The model, loaded now if need be. Raises LoadFailed or InsufficientMemory."""
        pooled = self._models.get(spec.digest) or self._load(spec)
        pooled.last_used_at = time.time()
        return pooled

    def unload(self, digest: str) -> None:
        """Raises ModelNotLoaded, or ModelBusy while it answers."""
        if digest not in self._models:
            raise ModelNotLoaded("The model is not loaded.")
        if self._busy(digest):
            raise ModelBusy(
                f"{self._models[digest].spec.name} is answering. Stop the answer, or wait for it.",
                retry_after=5.0,
            )
        self._drop(digest)

    def unload_idle(self, ttl: float) -> None:
        """Unload what nobody has used for ``ttl`` seconds."""
        before = time.time() - ttl
        for model in list(self):
            if model.last_used_at < before and not self._busy(model.spec.digest):
                self._drop(model.spec.digest)

    def kv_budget(self, digest: str) -> int:
        """KV tokens that this model's sequences may hold together."""
        free = self._ceiling - self._cache_bytes - self._weights_bytes()
        # A recurrent model keeps nothing per token.
        return max(0, free) // max(1, self._models[digest].kv_bytes_per_token)

    def _load(self, spec: protocol.ModelSpec) -> PooledModel:
        started = time.monotonic()
        try:
            estimate = memory.estimate(Path(spec.path), self._profile)
            self._make_room(spec, estimate.weights_bytes)
            loaded = loading.load(Path(spec.path), self._profile)
        except RuntimeFault as error:
            raise LoadFailed(f"{spec.name} could not be loaded: {error}") from error
        logger.info("loaded %s in %.1f s", spec.name, time.monotonic() - started)
        pooled = PooledModel(
            spec=spec,
            loaded=loaded,
            runner=BatchRunner(loaded.model),
            formatter=ChatFormatter(loaded.tokenizer),
            kv_bytes_per_token=estimate.kv_bytes_per_token,
            namespace=_namespace(spec, loaded),
        )
        self._models[spec.digest] = pooled
        return pooled

    def _make_room(self, spec: protocol.ModelSpec, needed: int) -> None:
        """Unload idle models, least recently used first, until ``needed`` bytes fit."""
        room = self._ceiling - self._cache_bytes
        idle = sorted(
            (model for model in self if not self._busy(model.spec.digest)),
            key=lambda model: model.last_used_at,
        )
        unloadable = sum(model.loaded.weights_bytes for model in idle)
        if needed > room - self._weights_bytes() + unloadable:
            raise InsufficientMemory(
                f"{spec.name} needs {needed / GIB:.1f} GiB for its weights; "
                f"{max(0, room - self._weights_bytes() + unloadable) / GIB:.1f} GiB are to be had "
                f"under the memory ceiling of {self._ceiling / GIB:.1f} GiB. Choose a smaller or "
                "more quantised model, or raise MLXHUB_MEMORY_CEILING_GB."
            )
        while needed > room - self._weights_bytes():
            self._drop(idle.pop(0).spec.digest)

    def _drop(self, digest: str) -> None:
        name = self._models.pop(digest).spec.name
        mx.clear_cache()
        logger.info("unloaded %s", name)

    def _weights_bytes(self) -> int:
        return sum(model.loaded.weights_bytes for model in self)


def _namespace(spec: protocol.ModelSpec, loaded: loading.LoadedModel) -> str:
    """KV depends on the model's content and the precision it is computed in, not its path."""
    precisions = {str(array.dtype) for _, array in tree_flatten(loaded.model.parameters())}
    identity = f"{spec.digest}|{sorted(precisions)}|{FORMAT_VERSION}"
    return hashlib.sha256(identity.encode()).hexdigest()[:24]
