"""A model pool with everything around it in a test's hands."""

from __future__ import annotations

from apps.inference.engine.model_pool import ModelPool
from apps.inference.engine.tests.fake_models import Clock, FakeLoader, FakeWork, spec

CEILING = 10_000


class Pool:
    """A pool with everything around it in a test's hands."""

    def __init__(self, ceiling: int = CEILING) -> None:
        self.clock = Clock()
        self.loader = FakeLoader(clock=self.clock)
        self.work = FakeWork()
        self.allowed = ceiling
        self.pool = ModelPool(
            self.loader, self.work, ceiling_bytes=ceiling, allow_cache=self._allow, clock=self.clock
        )

    def _allow(self, nbytes: int) -> None:
        self.allowed = nbytes

    def load(self, name: str, **fields):
        """The model, loaded if need be, and found by the call that wanted it."""
        wanted = spec(name, **fields)
        while (model := self.pool.find(wanted)) is None:
            list(self.pool.load(wanted))
        self.clock.now += 1
        return model

    @property
    def names(self) -> list[str]:
        return [model.spec.name for model in self.pool]
