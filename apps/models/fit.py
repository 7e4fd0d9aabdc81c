"""The fit badge: whether a model goes into this machine's memory, for chat and for training.

Takes a config.json and what is known of the weights, downloaded or not; reads nothing
itself and imports no MLX. ``components/fit_badge.html`` shows a ``Fit``.
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from apps.models.runtime import accelerator
from apps.models.runtime.context import context_length
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.memory import (
    Estimate,
    Shape,
    Term,
    TrainingPlan,
    Weights,
    estimate_chat,
    estimate_training,
    weights_term,
)
from apps.models.runtime.memory.training import Method
from apps.models.sizes import readable_memory

CHAT_CONTEXT = 4096
"""Tokens of the conversation that a badge is for, where nobody chose another number."""

_WORDS = {"fits": "Fits", "tight": "Tight", "too big": "Too big", "unknown": "Fit unknown"}
_TONES = {"fits": "ok", "tight": "warn", "too big": "bad", "unknown": ""}
_ICONS = {"fits": "check", "tight": "alert", "too big": "off", "unknown": "info"}
_METHODS: dict[Method, str] = {
    "lora": "LoRA",
    "qlora": "QLoRA",
    "dora": "DoRA",
    "full": "Full fine-tune",
}


@dataclass(frozen=True)
class Machine:
    """What models may use here. Callers fill it: this app knows no engine."""

    backend: str
    """"metal", "cuda" or "cpu"."""
    ceiling_bytes: int
    """Memory for everything that models take, as the engine's ledger has it; 0: not known."""
    held_bytes: int = 0
    """Of that, what won't be given up for a model: pinned ones, and those that answer."""

    @property
    def compute_float32(self) -> bool:
        return self.backend == "cpu"

    @property
    def free_bytes(self) -> int:
        return max(0, self.ceiling_bytes - self.held_bytes)


@dataclass(frozen=True)
class Fit:
    """One badge."""

    purpose: str
    """What for, such as "Chat with 4,096 tokens"."""
    verdict: str
    """"fits", "tight", "too big" or "unknown"."""
    free_bytes: int
    terms: tuple[Term, ...] = ()
    reason: str = ""
    """Why it is unknown; else empty."""

    @property
    def needed_bytes(self) -> int:
        return sum(term.nbytes for term in self.terms)

    @property
    def word(self) -> str:
        return _WORDS[self.verdict]

    @property
    def tone(self) -> str:
        """Of the chip: "ok", "warn", "bad" or empty."""
        return _TONES[self.verdict]

    @property
    def icon(self) -> str:
        return _ICONS[self.verdict]

    @property
    def in_short(self) -> str:
        """The arithmetic in one line."""
        if not self.terms:
            return self.reason
        parts = " + ".join(f"{term.label} {readable_memory(term.nbytes)}" for term in self.terms)
        free = (
            f"{readable_memory(self.free_bytes)} free"
            if self.free_bytes
            else "free memory not known"
        )
        return f"{parts} = {readable_memory(self.needed_bytes)} of {free}"


@dataclass(frozen=True)
class ModelFits:
    """What one model can be used for on one machine."""

    chat: Fit
    training: tuple[Fit, ...]
    """LoRA, QLoRA and full fine-tune, in this order."""

    @property
    def all(self) -> tuple[Fit, ...]:
        return (self.chat, *self.training)


def host_machine(ceiling_gb: float | None = None) -> Machine:
    """This machine without its engine's word; ``ceiling_gb`` is the configured ceiling in GiB.

    A CUDA device's memory is the engine's to tell: without a ceiling it is not known.
    """
    backend = _installed_backend()
    ceiling = int((ceiling_gb or 0) * 1024**3)
    if not ceiling and backend != "cuda":
        ceiling = int(accelerator.host_memory() * accelerator.MEMORY_SHARE)
    return Machine(backend, ceiling)


def _installed_backend() -> str:
    if sys.platform == "darwin":
        return "metal" if platform.machine() == "arm64" else "cpu"
    for name in ("mlx-cuda-13", "mlx-cuda-12"):
        try:
            importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        return "cuda"
    return "cpu"


def chat_fit(
    config: Mapping[str, Any],
    weights: Weights | None,
    machine: Machine,
    *,
    context: int = CHAT_CONTEXT,
) -> Fit:
    """Whether the model can chat with ``context`` tokens (fewer where it can't take so many)."""
    tokens = min(context, context_length(dict(config)))
    purpose = f"Chat with {tokens:,} tokens"
    return _fit(
        purpose, machine, weights, lambda w: estimate_chat(Shape.of(config), w, machine, tokens)
    )


def rough_fit(weights: Weights, machine: Machine) -> Fit:
    """Whether a model that is known by the size of its weights alone can chat here."""
    held = weights_term(weights, machine)
    how = "a fifth of the weights, as a rule; the model's page counts it"
    terms = (held, Term("Conversation", held.nbytes // 5, how))
    return _fit("Chat", machine, weights, lambda _: Estimate(terms))


def training_fit(
    config: Mapping[str, Any], weights: Weights | None, machine: Machine, plan: TrainingPlan
) -> Fit:
    """Whether the model can be trained as planned."""
    length = min(plan.length, context_length(dict(config)))
    what = f"{_METHODS[plan.method]}, {plan.batch} rows of {length:,} tokens"
    plan = replace(plan, length=length)
    return _fit(
        what, machine, weights, lambda w: estimate_training(Shape.of(config), w, machine, plan)
    )


def model_fits(
    config: Mapping[str, Any],
    weights: Weights | None,
    machine: Machine,
    *,
    context: int = CHAT_CONTEXT,
    plan: TrainingPlan = TrainingPlan(),  # noqa: B008 - frozen
) -> ModelFits:
    """All badges of a model; ``plan`` gives everything but the method."""
    methods: tuple[Method, ...] = ("lora", "qlora", "full")
    return ModelFits(
        chat=chat_fit(config, weights, machine, context=context),
        training=tuple(
            training_fit(config, weights, machine, replace(plan, method=method))
            for method in methods
        ),
    )


def _fit(
    purpose: str,
    machine: Machine,
    weights: Weights | None,
    count: Callable[[Weights], Estimate],
) -> Fit:
    free = machine.free_bytes
    if weights is None:
        return Fit(purpose, "unknown", free, reason="The size of the weights is not known.")
    try:
        estimate = count(weights)
    except ModelFormatError as error:
        return Fit(purpose, "unknown", free, reason=str(error))
    if not machine.ceiling_bytes:
        reason = "How much memory this machine's GPU has is known once the engine runs."
        return Fit(purpose, "unknown", free, estimate.terms, reason)
    return Fit(purpose, estimate.verdict(free), free, estimate.terms)
