"""Estimates of memory against the measured peaks of real loads, chats and training steps."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from apps.models.runtime.headers import read_json, read_tensors
from apps.models.runtime.memory import (
    ERROR_BOUND,
    Estimate,
    Shape,
    TrainingPlan,
    Weights,
    estimate_chat,
    estimate_training,
)
from benchmarks.figures import Figure
from benchmarks.fit_models import CONFIGS

_CHUNK = 128
_MB = 1e6


@dataclass(frozen=True)
class _Held:
    """How a device holds weights: as a CPU does, or as their files have them, like a GPU."""

    compute_float32: bool
    backend: str = "cpu"


CHATS = (*(name for name in CONFIGS if not name.startswith("small")), "starter")

PLANS: tuple[tuple[str, str, TrainingPlan], ...] = (
    ("small llama", "LoRA", TrainingPlan("lora", 4, 256, layers=-1, checkpoint=False)),
    ("small llama", "LoRA, 3 layers", TrainingPlan("lora", 2, 512, layers=3, checkpoint=False)),
    ("small llama", "LoRA, checkpointed", TrainingPlan("lora", 4, 256, layers=-1)),
    ("small llama", "DoRA", TrainingPlan("dora", 4, 128, layers=-1, checkpoint=False)),
    ("small llama", "full", TrainingPlan("full", 4, 128, checkpoint=False)),
    ("small llama", "full, checkpointed", TrainingPlan("full", 4, 256)),
    ("small moe", "LoRA", TrainingPlan("lora", 4, 128, layers=-1, checkpoint=False)),
    ("small qwen3", "LoRA", TrainingPlan("lora", 4, 256, layers=-1, checkpoint=False)),
    ("small gemma3", "LoRA", TrainingPlan("lora", 4, 256, layers=-1, checkpoint=False)),
    ("small mamba2", "LoRA", TrainingPlan("lora", 2, 128, layers=-1, checkpoint=False)),
)


def fits() -> Iterator[Figure]:
    """The figures: chats in float32 and as on a GPU, then training."""
    with tempfile.TemporaryDirectory() as root:
        models = _Models(Path(root))
        for name in CHATS:
            yield _chat(models, name, tokens=2000, held=_Held(compute_float32=True))
        # A CPU computes these types so slowly that a short chat has to do.
        for name in ("llama", "llama 4-bit"):
            yield _chat(models, name, tokens=200, held=_Held(compute_float32=False))
        for name, what, plan in PLANS:
            yield _training(models, name, what, plan)


class _Models:
    """Folders of models, written when they are first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, name: str) -> Path:
        folder = self._root / name.replace(" ", "-")
        if not folder.exists():
            if name == "starter":
                _run("-c", _IMPORT_STARTER, str(folder))
            else:
                _run("-m", "benchmarks.fit_models", name, str(folder))
        return folder


_IMPORT_STARTER = """
import sys
from pathlib import Path
from apps.models.runtime.gguf.importer import import_gguf
from apps.models.runtime.starter import find_starter
import_gguf(find_starter(), Path(sys.argv[1]))
"""


def _chat(models: _Models, name: str, *, tokens: int, held: _Held) -> Figure:
    folder = models[name]
    config = read_json(folder / "config.json")
    weights = Weights.of_tensors(read_tensors(folder), config)
    estimate = estimate_chat(Shape.of(config), weights, held, tokens, chunk=_CHUNK)
    job = {"folder": str(folder), "tokens": tokens, "chunk": _CHUNK}
    how = "in float32" if held.compute_float32 else "as its file"
    return _figure(f"chat, {tokens} tokens, {name} {how}", estimate, job, held)


def _training(models: _Models, name: str, what: str, plan: TrainingPlan) -> Figure:
    folder = models[name]
    config = read_json(folder / "config.json")
    weights = Weights.of_tensors(read_tensors(folder), config)
    held = _Held(compute_float32=True)
    estimate = estimate_training(Shape.of(config), weights, held, plan)
    size = f"{plan.batch} x {plan.length}"
    job = {"folder": str(folder), "plan": asdict(plan)}
    return _figure(f"{what}, {size}, {name}", estimate, job, held)


def _figure(name: str, estimate: Estimate, job: dict[str, Any], held: _Held) -> Figure:
    job["float32"] = held.compute_float32
    lines = _run("-m", "benchmarks.fit_subject", json.dumps(job)).splitlines()
    measured = json.loads(lines[-1])
    terms = ", ".join(f"{term.label} {term.nbytes / _MB:.0f}" for term in estimate.terms)
    print(f"  {terms}; the process grew by {measured['resident'] / _MB:.0f}")
    return Figure(
        name,
        estimate.total / _MB,
        measured["peak"] / _MB,
        "MB",
        at_most=1 + ERROR_BOUND,
        at_least=1 - ERROR_BOUND,
    )


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=1200, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{arguments[:2]} failed: {done.stderr[-2000:]}")
    return done.stdout
