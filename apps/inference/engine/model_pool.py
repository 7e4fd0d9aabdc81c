"""The models in memory: which are loaded, which goes when, and what it all adds up to.

The ledger decides who gives way; the pool does it. How a folder becomes a model is
the loader's, when a load goes on is ``model_loads``'.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from apps.inference.engine.errors import EngineFault, ModelBusy, ModelNotLoaded
from apps.inference.engine.ledger import SHORT_CONVERSATION, Claim, Footprint, Ledger
from apps.inference.engine.pooled_model import PooledModel
from apps.inference.engine.protocol import ModelSpec
from apps.inference.engine.resident import ResidentModel

logger = logging.getLogger(__name__)

_RETRY_AFTER = 5.0


class Loader(Protocol):
    """How models come into memory; see ``model_loader.ModelLoader``."""

    def expected(self, spec: ModelSpec) -> Footprint: ...

    def load(self, spec: ModelSpec) -> Generator[int | ResidentModel, None, None]: ...

    def mismatch(self, model: PooledModel, draft: PooledModel) -> str: ...

    def release(self) -> None: ...


class Work(Protocol):
    """What runs on the models; see ``workload.Workload``."""

    def uses(self, model: str) -> bool:
        """Whether a sequence or an embedding of the model waits or runs."""

    def reserved_tokens(self, model: str) -> int:
        """KV tokens that the model's running sequences may come to hold."""


@dataclass(frozen=True)
class Progress:
    """How far a load is. ``total_bytes`` is what is expected, and never less than done."""

    model: str
    done_bytes: int
    total_bytes: int

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.done_bytes / self.total_bytes if self.total_bytes else 0.0


class ModelPool:
    def __init__(
        self,
        loader: Loader,
        work: Work,
        *,
        ceiling_bytes: int,
        allow_cache: Callable[[int], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``allow_cache`` is told how many bytes the prompt cache may hold."""
        self._loader = loader
        self._work = work
        self._ceiling = ceiling_bytes
        self._allow_cache = allow_cache
        self._clock = clock
        self._models: dict[str, ResidentModel] = {}
        self._arriving: dict[str, Claim] = {}
        """What is being loaded, by digest."""
        self._held: dict[str, Claim] = {}
        """What work outside the engine uses."""
        self._awaiting_draft: set[str] = set()
        """Loaded models whose draft is being loaded."""

    def __iter__(self) -> Iterator[ResidentModel]:
        return iter(self._models.values())

    def __contains__(self, digest: str) -> bool:
        return digest in self._models

    def __getitem__(self, digest: str) -> PooledModel:
        """A model that answers."""
        model = self._models[digest]
        assert isinstance(model, PooledModel)
        return model

    # --- coming -------------------------------------------------------------

    def find(self, spec: ModelSpec) -> ResidentModel | None:
        """The model, ready for work; None where it, or its draft, has to be loaded first.

        What ``spec`` says of its TTL, pin and draft holds from now on.
        """
        model = self._models.get(spec.digest)
        if model is None:
            return None
        self._renew(model, spec)
        if _lacks_draft(model):
            return None
        model.last_used_at = self._clock()
        return model

    def load(self, spec: ModelSpec) -> Generator[Progress, None, None]:
        """Load a model and its draft part by part; closing it early frees what was loaded.

        A draft that can't be used is noted in the model, which does without.
        Raises LoadFailed or InsufficientMemory.
        """
        if spec.digest not in self._models:
            yield from self._bring(spec)
        model = self._models[spec.digest]
        self._renew(model, spec)
        if _lacks_draft(model):
            yield from self._bring_draft(model)

    def _bring(self, spec: ModelSpec, *, asked_for: bool = True) -> Iterator[Progress]:
        expected = self._loader.expected(spec)
        claim = Claim(spec.digest, spec.name, expected, SHORT_CONVERSATION, "being loaded")
        for leaving in self.ledger().leaving_for(claim):
            self._drop(leaving.digest)
        self._arriving[spec.digest] = claim
        self.balance()
        try:
            yield Progress(spec.name, 0, expected.weights_bytes)
            with closing(self._loader.load(spec)) as parts:
                for part in parts:
                    if isinstance(part, ResidentModel):
                        part.asked_for = asked_for
                        self._models[spec.digest] = part
                    else:
                        total = max(part, expected.weights_bytes)
                        yield Progress(spec.name, part, total)
        finally:
            del self._arriving[spec.digest]
            if spec.digest not in self._models:
                self._loader.release()
            self.balance()

    def _bring_draft(self, model: ResidentModel) -> Iterator[Progress]:
        wanted = model.spec.draft
        assert wanted is not None
        spec = ModelSpec(name=wanted.name, path=wanted.path, digest=wanted.digest)
        self._awaiting_draft.add(model.spec.digest)
        try:
            if spec.digest not in self._models:
                yield from self._bring(spec, asked_for=False)
            draft = self._models[spec.digest]
            model.draft_problem = self._attach(model, draft)
        except EngineFault as fault:
            model.draft_problem = str(fault)
        finally:
            self._awaiting_draft.discard(model.spec.digest)
            self._drop_unwanted(spec.digest)
        if model.draft_problem:
            logger.warning("%s answers without a draft: %s", model.spec.name, model.draft_problem)

    def _attach(self, model: ResidentModel, draft: ResidentModel) -> str:
        """Let ``draft`` propose tokens for ``model``; why it can't, empty where it can."""
        if draft is model:
            return f"{model.spec.name} can't be its own draft. Choose a smaller model, or none."
        if not isinstance(model, PooledModel) or not isinstance(draft, PooledModel):
            return "An embedding model has no draft and is none. Choose no draft."
        if mismatch := self._loader.mismatch(model, draft):
            return mismatch
        model.draft = draft
        if not self.ledger().fits:
            model.draft = None
            return f"There is no room for the KV of {draft.spec.name}."
        return ""

    def _renew(self, model: ResidentModel, spec: ModelSpec) -> None:
        """Let the newest call's TTL, pin and draft hold; a draft in use stays until it is idle."""
        model.asked_for = True
        if spec == model.spec:
            return
        if spec.draft != model.spec.draft:
            if self.busy(spec.digest):
                spec = spec.model_copy(update={"draft": model.spec.draft})
            else:
                former, model.draft, model.draft_problem = model.draft, None, ""
                if former is not None:
                    self._drop_unwanted(former.spec.digest)
        model.spec = spec

    def hold(self, claim: Claim) -> tuple[str, ...]:
        """Reserve memory for work outside the engine; the idle models that gave way, by name.

        Raises InsufficientMemory.
        """
        leaving = self.ledger().leaving_for(claim)
        for model in leaving:
            self._drop(model.digest)
        self._held[claim.digest] = claim
        self.balance()
        return tuple(model.name for model in leaving)

    def release(self, digest: str) -> None:
        """Give back what ``hold`` reserved."""
        del self._held[digest]
        self.balance()

    @property
    def held(self) -> tuple[Claim, ...]:
        """What is reserved for work outside the engine."""
        return tuple(self._held.values())

    # --- going --------------------------------------------------------------

    def unload(self, digest: str) -> None:
        """Unload a model, a pinned one too. Raises ModelNotLoaded, or ModelBusy while in use."""
        if digest not in self._models:
            raise ModelNotLoaded("The model is not loaded.")
        name = self._models[digest].spec.name
        if users := self._users(digest):
            raise ModelBusy(
                f"{name} drafts for {users[0].spec.name}. Unload that, or choose no draft for it."
            )
        if self.busy(digest):
            raise ModelBusy(
                f"{name} is answering. Stop the answer, or wait for it.", retry_after=_RETRY_AFTER
            )
        self._drop(digest)
        self.balance()

    def unload_idle(self) -> None:
        """Unload what nobody has used for its TTL."""
        now = self._clock()
        due = [m.spec.digest for m in self if m.unloads_at is not None and m.unloads_at < now]
        for digest in due:
            if digest in self._models and not self._stays(self._models[digest]):
                self._drop(digest)

    def balance(self) -> None:
        """Hold the ceiling: idle models leave where answers need their room, and the prompt
        cache gets what is left."""
        ledger = self.ledger()
        if leaving := ledger.leaving():
            for claim in leaving:
                self._drop(claim.digest)
            ledger = self.ledger()
        self._allow_cache(ledger.left)

    def _drop(self, digest: str) -> None:
        model = self._models.pop(digest)
        logger.info("unloaded %s", model.spec.name)
        draft, model.draft = model.draft, None
        if draft is not None:
            self._drop_unwanted(draft.spec.digest)
        del model, draft
        self._loader.release()

    def _drop_unwanted(self, digest: str) -> None:
        """Drop a model that was loaded as a draft only, and is none any more."""
        model = self._models.get(digest)
        if model is not None and not model.asked_for and not self._users(digest):
            self._drop(digest)

    # --- accounts -----------------------------------------------------------

    def busy(self, digest: str) -> bool:
        """Whether a model answers, or drafts for one that does."""
        users = self._users(digest)
        return self._work.uses(digest) or any(self._work.uses(m.spec.digest) for m in users)

    def kv_budget(self, digest: str) -> int:
        """KV tokens that this model's sequences may hold together now."""
        return self.ledger().kv_budget(digest)

    def padding_allowed(self, digest: str) -> int:
        """KV tokens that a batch of this model may waste on padding its rows."""
        return self[digest].runner.padding_allowed

    def room(self, digest: str) -> int:
        """Bytes that this model may take beside what it has, as for an adapter."""
        return self.ledger().room(digest)

    def kv_capacity(self, digest: str) -> int:
        """KV tokens that they could hold, once other models are idle."""
        return self.ledger().kv_capacity(digest)

    def ledger(self) -> Ledger:
        """What is claimed now. A draft that only one model wants is part of that model's claim."""
        claims = [self._claim(model) for model in self if not self._is_part(model)]
        return Ledger(self._ceiling, (*claims, *self._arriving.values(), *self._held.values()))

    def _claim(self, model: ResidentModel) -> Claim:
        footprint = model.footprint
        if model.draft is not None and self._is_part(model.draft):
            footprint = _together(footprint, model.draft.footprint)
        return Claim(
            digest=model.spec.digest,
            name=model.spec.name,
            footprint=footprint,
            kv_tokens=self._work.reserved_tokens(model.spec.digest),
            stays=self._stays(model),
            pinned=model.spec.pinned,
            last_used_at=model.last_used_at,
        )

    def _stays(self, model: ResidentModel) -> str:
        """Why a model must not be unloaded now; empty where it may."""
        users = self._users(model.spec.digest)
        if self.busy(model.spec.digest):
            return "answering now"
        if model.spec.digest in self._awaiting_draft:
            return "being loaded"
        if users:
            return f"drafting for {users[0].spec.name}"
        return "pinned" if model.spec.pinned else ""

    def _is_part(self, model: ResidentModel) -> bool:
        return not model.asked_for and len(self._users(model.spec.digest)) == 1

    def _users(self, digest: str) -> list[ResidentModel]:
        """The models that draft with this one."""
        return [m for m in self if m.draft is not None and m.draft.spec.digest == digest]


def _lacks_draft(model: ResidentModel) -> bool:
    return model.spec.draft is not None and model.draft is None and not model.draft_problem


def _together(model: Footprint, draft: Footprint) -> Footprint:
    return Footprint(
        weights_bytes=model.weights_bytes + draft.weights_bytes,
        working_bytes=max(model.working_bytes, draft.working_bytes),
        kv_bytes_per_token=model.kv_bytes_per_token,  # has the draft's in it
    )
