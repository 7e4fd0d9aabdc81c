"""Whether a job can work, told before it is queued: memory, rows, lengths, disk, time.

Memory is judged by the fit estimate against what is free once idle models are unloaded;
time by what runs of the same base did here before. Imports no MLX.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from django.conf import settings as django_settings
from django.template.defaultfilters import filesizeformat

from apps.inference.engine.protocol import Status
from apps.inference.snapshot import look_at_engine
from apps.models.fit import Fit, Machine, host_machine
from apps.models.models import LocalModel
from apps.training.errors import BadOrder
from apps.training.material import Material, look
from apps.training.models import Metric, TrainingJob
from apps.training.suggestions import Subject, suggest
from apps.training.trainer.config import TrainingConfig

KNOWN_RUNS = 5
"""Earlier runs of a base that its speed is taken from."""

SPARE_DISK = 512 * 1024**2
"""Bytes that stay free for everything else."""

_TRUNCATED = 0.05
"""Share of the tokens that may be cut off without a word."""


@dataclass(frozen=True)
class Finding:
    """Something about a job that its owner should know."""

    level: Literal["refused", "warning", "note"]
    text: str
    """What, why, and what to do."""
    safer: dict[str, Any] = field(default_factory=dict)
    """Settings that mend it, by TrainingConfig's names."""


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
    seconds: float | None
    """None: no run of this base was timed here."""
    in_the_way: tuple[str, ...]
    """Slugs of loaded models whose memory the run needs."""
    findings: tuple[Finding, ...]

    @property
    def refusals(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "refused"]

    @property
    def safer(self) -> dict[str, Any]:
        """What would make it work, where something is known that would."""
        return {name: value for one in self.refusals for name, value in one.safer.items()}

    def require(self) -> None:
        """Raises BadOrder where the job can't work."""
        if self.refusals:
            raise BadOrder(" ".join(finding.text for finding in self.refusals))


@dataclass(frozen=True)
class Room:
    """This machine's memory for models, now and once idle models are unloaded."""

    machine: Machine
    free_now: int
    idle: tuple[str, ...]
    """Slugs of loaded models that may be unloaded."""


def examine(base: LocalModel, config: TrainingConfig) -> Preflight:
    """Look at everything that a job depends on. Raises BadOrder where that can't be read."""
    subject = Subject.of(base)
    material = look(Path(config.data), Path(base.path))
    room = this_room()
    settings = config.model_dump()
    fit = subject.fit(settings, room.machine)
    disk = _disk_bytes(subject, config)
    seconds_a_step = _seconds_a_step(base, material, config)
    in_the_way = room.idle if room.free_now < fit.needed_bytes <= fit.free_bytes else ()
    findings = [
        *_memory(subject, material, room.machine, config, fit, in_the_way),
        *_rows(material, config),
        *_lengths(material, config),
        *_disk(disk),
        *_shape(base, subject, room.machine, config),
    ]
    return Preflight(
        fit=fit,
        material=material,
        steps=config.iters,
        epochs=config.iters * config.batch_size / max(material.rows, 1),
        truncated=material.truncated(config.max_seq_length),
        disk_bytes=disk,
        seconds=None if seconds_a_step is None else config.iters * seconds_a_step,
        in_the_way=in_the_way,
        findings=tuple(findings),
    )


def this_room() -> Room:
    """As the engine's ledger has it; as far as the host tells where no engine runs."""
    status = look_at_engine().status
    if status is None:
        machine = host_machine(django_settings.HUB.memory_ceiling_gb)
        return Room(machine, machine.free_bytes, ())
    busy = {model.name for model in status.models if model.pinned or model.live_kv_bytes}
    held = {model.name: _held(status, model.name) for model in status.models}
    ceiling = status.accelerator.memory_ceiling_bytes
    machine = Machine(status.accelerator.backend, ceiling, sum(held[name] for name in busy))
    idle = tuple(name for name in held if name not in busy)
    return Room(machine, max(0, ceiling - sum(held.values())), idle)


def _held(status: Status, name: str) -> int:
    model = next(model for model in status.models if model.name == name)
    return max(model.weights_bytes, model.measured_bytes) + model.live_kv_bytes


def _memory(
    subject: Subject,
    material: Material,
    machine: Machine,
    config: TrainingConfig,
    fit: Fit,
    in_the_way: tuple[str, ...],
) -> Iterator[Finding]:
    if fit.verdict == "too big":
        suited = suggest(subject, material, machine, config.method)
        safer = {name: suited[name] for name in _MEMORY_SETTINGS}
        works = subject.fit(config.model_dump() | safer, machine).verdict != "too big"
        instead = (
            "The safer settings below fit."
            if works
            else "No settings of this method fit: use a smaller or a quantised model."
        )
        yield Finding(
            "refused",
            f"It needs about {_size(fit.needed_bytes)}, and models may use "
            f"{_size(fit.free_bytes)} here. {instead}",
            safer if works else {},
        )
    elif in_the_way:
        yield Finding(
            "warning",
            f"It needs about {_size(fit.needed_bytes)}. Unload {', '.join(in_the_way)} first: "
            "that makes room.",
        )
    elif fit.verdict == "tight":
        yield Finding(
            "warning",
            f"It needs about {_size(fit.needed_bytes)} of {_size(fit.free_bytes)}: it may run out "
            "of memory. A smaller batch or gradient checkpointing makes it safe.",
        )


_MEMORY_SETTINGS = ("batch_size", "max_seq_length", "num_layers", "gradient_checkpointing")


def _rows(material: Material, config: TrainingConfig) -> Iterator[Finding]:
    if not material.rows:
        yield Finding("refused", "train.jsonl has no rows. Add some, or choose other data.")
    elif material.rows < config.batch_size:
        yield Finding(
            "warning",
            f"The batch size is {config.batch_size} and there are {material.rows} rows: every "
            "batch has them all.",
            {"batch_size": material.rows},
        )
    if not material.validation_rows:
        yield Finding(
            "warning",
            "There is no valid.jsonl: nothing tells when the model begins to learn by heart.",
        )
        if config.patience is not None or config.keep_best:
            yield Finding(
                "refused",
                "Early stopping and keeping the best need validation rows. Add valid.jsonl, or "
                "switch both off.",
                {"patience": None, "keep_best": False},
            )


def _lengths(material: Material, config: TrainingConfig) -> Iterator[Finding]:
    limit = config.max_seq_length
    lost = material.lost(limit)
    if lost > _TRUNCATED:
        yield Finding(
            "warning",
            f"{material.truncated(limit):.0%} of the rows are longer than {limit:,} tokens: "
            f"{lost:.0%} of the text is cut off. The longest row seen has "
            f"{material.length_of(1):,}.",
            {"max_seq_length": -(-material.length_of(0.99) // 32) * 32},
        )


def _disk(needed: int) -> Iterator[Finding]:
    free = shutil.disk_usage(django_settings.HUB.data_dir).free
    if needed + SPARE_DISK > free:
        yield Finding(
            "refused",
            f"Checkpoints and result need about {_size(needed)}, and {_size(free)} are free on "
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


def _disk_bytes(subject: Subject, config: TrainingConfig) -> int:
    """Checkpoints with the optimiser's two means, the best weights and the result."""
    weights = subject.fit(config.model_dump(), Machine("cpu", 0))
    trained = next((term.nbytes for term in weights.terms if term.label == "Gradients"), 0)
    copies = 3 * (config.keep_checkpoints + 1) + config.keep_best + 2
    return trained * copies


def _seconds_a_step(base: LocalModel, material: Material, config: TrainingConfig) -> float | None:
    """From what a token took in earlier runs of the base."""
    recent = TrainingJob.objects.filter(
        base=base, step__gt=0, facts__rows__gt=0, settings__method=config.method
    ).order_by("-pk")[:KNOWN_RUNS]
    costs = []
    for job in recent:
        last = Metric.objects.series(job, Metric.Name.SECONDS).last()
        if last is not None and last.step and last.value:
            length = job.facts["tokens"] / job.facts["rows"]
            costs.append(last.value / last.step / _work(job.settings, length))
    if not costs:
        return None
    length = material.tokens / max(material.rows, 1)
    return sum(costs) / len(costs) * _work(config.model_dump(), length)


def _work(settings: dict[str, Any], length: float) -> float:
    """What a step costs next to others: its tokens, a third more where they're computed again."""
    tokens = settings["batch_size"] * min(length, settings["max_seq_length"])
    return float(tokens * (4 / 3 if settings["gradient_checkpointing"] else 1))


def _size(nbytes: int) -> str:
    return str(filesizeformat(nbytes)).replace("\xa0", " ")
