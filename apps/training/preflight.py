"""Whether a job can work, told before it is queued: memory, rows, lengths, disk, time.

Memory is judged by the fit estimate against what is free once idle models are unloaded;
time by what runs of the same base did here before. Imports no MLX.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from apps.models.fit import Fit, Machine
from apps.models.models import LocalModel
from apps.models.sizes import readable, readable_memory
from apps.training.data_findings import of_data
from apps.training.errors import BadOrder
from apps.training.findings import Finding
from apps.training.layer_keys import PLAIN, layer_names
from apps.training.material import Material, look
from apps.training.pace import Pace, pace_of
from apps.training.room import this_room
from apps.training.starts import of_start
from apps.training.suggestions import Subject, suggest
from apps.training.trainer.config import TrainingConfig

SPARE_DISK = 512 * 1024**2
"""Bytes that stay free for everything else."""


@dataclass(frozen=True)
class Preflight:
    """What is known of a job before it begins."""

    fit: Fit
    material: Material
    steps: int
    epochs: float
    truncated: float
    """Share of the rows, 0.0 to 1.0."""
    disk_bytes: int
    lost: float
    """Share of the tokens that are cut off, 0.0 to 1.0."""
    seconds: float | None
    """Without evaluations. None: no step of this base was timed here."""
    pace: Pace | None
    """What ``seconds`` is reckoned from."""
    in_the_way: tuple[str, ...]
    """Slugs of loaded models whose memory the run needs."""
    findings: tuple[Finding, ...]

    @property
    def refusals(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "refused"]

    @property
    def safer(self) -> dict[str, Any]:
        """What would make it work, where something is known that would; else what is wiser."""
        findings = self.refusals or self.findings
        return {name: value for one in findings for name, value in one.safer.items()}

    def require(self) -> None:
        """Raises BadOrder where the job can't work."""
        if self.refusals:
            raise BadOrder(" ".join(finding.text for finding in self.refusals))


def examine(base: LocalModel, config: TrainingConfig) -> Preflight:
    """Look at everything that a job depends on. Raises BadOrder where that can't be read."""
    subject = Subject.of(base)
    material = look(Path(config.data), Path(base.path))
    room = this_room()
    settings = config.model_dump()
    fit = subject.fit(settings, room.machine)
    disk = _disk_bytes(subject, config)
    pace = pace_of(base, material, config)
    in_the_way = room.idle if room.free_now < fit.needed_bytes <= fit.free_bytes else ()
    findings = [
        *_memory(subject, material, room.machine, config, fit, in_the_way),
        *of_data(base, subject, material, room.machine, config),
        *_disk(disk),
        *_shape(base, subject, room.machine, config),
        *of_start(base, subject, config),
    ]
    return Preflight(
        fit=fit,
        material=material,
        steps=config.iters,
        epochs=config.iters * config.batch_size / max(material.rows, 1),
        truncated=material.truncated(config.max_seq_length),
        disk_bytes=disk,
        lost=material.lost(config.max_seq_length),
        seconds=None if pace is None else config.iters * pace.seconds,
        pace=pace,
        in_the_way=in_the_way,
        findings=tuple(findings),
    )


def _memory(
    subject: Subject,
    material: Material,
    machine: Machine,
    config: TrainingConfig,
    fit: Fit,
    in_the_way: tuple[str, ...],
) -> Iterator[Finding]:
    if fit.verdict == "too big":
        suited = suggest(subject, material, machine, config.method, config.objective)
        safer = {name: suited[name] for name in _MEMORY_SETTINGS}
        works = subject.fit(config.model_dump() | safer, machine).verdict != "too big"
        instead = (
            "The safer settings below fit."
            if works
            else "No settings of this method fit: use a smaller or a quantised model."
        )
        yield Finding(
            "refused",
            f"It needs about {readable_memory(fit.needed_bytes)}, and models may use "
            f"{readable_memory(fit.free_bytes)} here. {instead}",
            safer if works else {},
        )
    elif in_the_way:
        yield Finding(
            "warning",
            f"It needs about {readable_memory(fit.needed_bytes)}. Unload {', '.join(in_the_way)} first: "
            "that makes room.",
        )
    elif fit.verdict == "tight":
        yield Finding(
            "warning",
            f"It needs about {readable_memory(fit.needed_bytes)} of {readable_memory(fit.free_bytes)}: it may run out "
            "of memory. A smaller batch or gradient checkpointing makes it safe.",
        )


_MEMORY_SETTINGS = ("batch_size", "max_seq_length", "num_layers", "gradient_checkpointing")


def _disk(needed: int) -> Iterator[Finding]:
    free = shutil.disk_usage(django_settings.HUB.data_dir).free
    if needed + SPARE_DISK > free:
        yield Finding(
            "refused",
            f"Checkpoints and result need about {readable(needed)}, and {readable(free)} are free on "
            "the disk. Keep fewer checkpoints, or make room.",
            {"keep_checkpoints": 1},
        )


def _shape(
    base: LocalModel, subject: Subject, machine: Machine, config: TrainingConfig
) -> Iterator[Finding]:
    if base.kind == LocalModel.Kind.EMBEDDING:
        yield Finding(
            "refused", f"{base.name} makes vectors and writes no text. Choose another model."
        )
    # On a CPU weights are unpacked when they are loaded.
    if config.method == "full" and subject.weights.quantized and machine.backend != "cpu":
        yield Finding(
            "refused",
            "A quantised model can't be trained in full: its weights are no numbers that gradients "
            "can change. Use LoRA, or a model that is not quantised.",
            {"method": "lora"},
        )
    if config.num_layers > subject.blocks:
        yield Finding(
            "refused",
            f"{base.name} has {subject.blocks} layers, and {config.num_layers} are to be trained.",
            {"num_layers": -1},
        )
    yield from _keys(base, subject, config)


def _keys(base: LocalModel, subject: Subject, config: TrainingConfig) -> Iterator[Finding]:
    if config.method == "full" or config.lora.keys is None:
        return
    known = layer_names(Path(base.path))
    unknown = sorted(set(config.lora.keys) - known)
    if unknown:
        # Of other kinds the trainer alone knows what their layers are called.
        plain = subject.config.get("model_type") in PLAIN
        yield Finding(
            "refused" if plain else "warning",
            f"The blocks of {base.name} have no layer called {', '.join(unknown)}. There are: "
            f"{', '.join(sorted(known))}.",
            {"lora": config.lora.model_dump(mode="json") | {"keys": None}},
        )


def _disk_bytes(subject: Subject, config: TrainingConfig) -> int:
    """Checkpoints with the optimiser's two means, the best weights and the result."""
    weights = subject.fit(config.model_dump(), Machine("cpu", 0))
    trained = next((term.nbytes for term in weights.terms if term.label == "Gradients"), 0)
    copies = 3 * (config.keep_checkpoints + 1) + config.keep_best + 2
    return trained * copies
