"""Models without MLX, for what the pool and the loads decide about them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from apps.inference.engine.errors import LoadFailed
from apps.inference.engine.ledger import Footprint
from apps.inference.engine.pooled_model import PooledModel
from apps.inference.engine.protocol import DraftSpec, ModelSpec

PARTS = 4


def spec(name: str, **fields: Any) -> ModelSpec:
    draft = fields.pop("draft", None)
    if draft is not None:
        fields["draft"] = DraftSpec(name=draft, path=f"/models/{draft}", digest=draft)
    return ModelSpec(name=name, path=f"/models/{name}", digest=name, **fields)


@dataclass
class FakeLoader:
    """Loads anything in four parts; ``sizes`` says how large models are expected to be."""

    sizes: dict[str, Footprint] = field(default_factory=dict)
    really: dict[str, int] = field(default_factory=dict)
    """What loading takes, where it is not what was expected."""
    broken: set[str] = field(default_factory=set)
    """Models whose load fails half-way."""
    vocabularies: dict[str, str] = field(default_factory=dict)
    clock: Any = lambda: 0.0
    given_up: list[str] = field(default_factory=list)
    released: int = 0

    def expected(self, spec: ModelSpec) -> Footprint:
        return self.sizes.get(spec.digest, Footprint(100, 0, 1))

    def load(self, spec: ModelSpec) -> Generator[int | PooledModel, None, None]:
        expected = self.expected(spec)
        took = self.really.get(spec.digest, expected.weights_bytes)
        try:
            for part in range(1, PARTS + 1):
                if part == 3 and spec.digest in self.broken:
                    raise LoadFailed(f"{spec.name} is damaged.")
                yield took * part // PARTS
            yield self._pooled(spec, Footprint(took, expected.working_bytes, 1))
        except GeneratorExit:
            self.given_up.append(spec.digest)
            raise

    def mismatch(self, model: PooledModel, draft: PooledModel) -> str:
        own, other = (self.vocabularies.get(m.spec.digest, "") for m in (model, draft))
        return "" if own == other else "another vocabulary"

    def release(self) -> None:
        self.released += 1

    def _pooled(self, spec: ModelSpec, footprint: Footprint) -> PooledModel:
        adapters = SimpleNamespace(nbytes=0, names=())
        now = self.clock()
        return PooledModel(
            spec=spec,
            loaded=SimpleNamespace(context_length=512, weights_bytes=footprint.weights_bytes),
            runner=SimpleNamespace(adapters=adapters, live_kv_bytes=0, speculation=None),
            formatter=SimpleNamespace(),
            own_footprint=footprint,
            namespace=spec.digest,
            default_ttl=3600.0,
            loaded_at=now,
            last_used_at=now,
        )


class FakeWork:
    """Running sequences: tokens reserved, by model."""

    def __init__(self) -> None:
        self.running: dict[str, list[int]] = {}

    def uses(self, model: str) -> bool:
        return bool(self.running.get(model))

    def reserved_tokens(self, model: str) -> int:
        return sum(self.running.get(model, []))


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
