"""The adapter that a training goes on from: found, compared with the settings, kept for the run.

People name it as API calls do, or by the path that mlx-lm's ``resume_adapter_file`` has. A path
is only compared with those of registered adapters: no other file is ever read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apps.models.models import Adapter, LocalModel
from apps.models.runtime.adapters import WEIGHTS_FILE, AdapterShape, read_shape
from apps.models.runtime.errors import AdapterFormatError
from apps.training.errors import BadOrder, BadStart
from apps.training.findings import Finding
from apps.training.layer_keys import PLAIN, layer_names
from apps.training.models import TrainingJob
from apps.training.suggestions import Subject
from apps.training.trainer.config import TrainingConfig

KEPT = "start.safetensors"
"""In the run's folder: an adapter may be replaced or deleted while others go on from it."""


def adapter_named(name: Any, base: LocalModel | None = None) -> Adapter:
    """The registered adapter that is called ``glossary`` or ``words:glossary``, or lies there.

    ``base``: the model that it has to be over. Raises BadStart.
    """
    found = _found(name, base) if isinstance(name, str) else None
    if found is None:
        raise BadStart(f"{name!r} is no adapter of this hub to start from.{_others(base)}")
    if base is not None and found.base_id != base.pk:
        raise BadStart(f"{found} is an adapter over {found.base.name}.{_others(base)}")
    return found


def start_of(config: TrainingConfig) -> Adapter | None:
    """The adapter that a checked configuration goes on from. Raises BadOrder where it is gone."""
    if config.resume_adapter_file is None:
        return None
    return adapter_named(config.resume_adapter_file)


def weights_of(adapter: Adapter) -> str:
    """What mlx-lm's ``resume_adapter_file`` says of it."""
    return str(Path(adapter.path) / WEIGHTS_FILE)


def with_its_settings(adapter: Adapter, settings: dict[str, Any]) -> dict[str, Any]:
    """``settings`` with what they leave out of the adapter's shape. Raises BadOrder."""
    own = _settings(_shape(adapter), Subject.of(adapter.base).blocks)
    return own | settings | {"lora": own["lora"] | settings.get("lora", {})}


def of_start(base: LocalModel, subject: Subject, config: TrainingConfig) -> Iterator[Finding]:
    """What preflight has to say about it. Raises BadOrder where it can't be read."""
    adapter = start_of(config)
    if adapter is None:
        return
    shape = _shape(adapter)
    own = _settings(shape, subject.blocks)
    safer = own | {"lora": config.lora.model_dump(mode="json") | own["lora"]}
    if differing := list(_differences(base, subject, config, shape)):
        yield Finding(
            "refused",
            f"It can't go on from {adapter}: {'; '.join(differing)}. Use the adapter's settings, "
            "or start from none.",
            safer,
        )
    elif shape.scale != config.lora.scale:
        yield Finding(
            "warning",
            f"{adapter} has a scale of {shape.scale:g}, and {config.lora.scale:g} is set: the run "
            "begins with another model than that adapter makes.",
            safer,
        )


def kept(job: TrainingJob) -> Path:
    """The weights that its run begins with, which stay the same however often it goes on.

    Raises BadOrder where they were deleted before it began.
    """
    file = job.run / KEPT
    if file.exists():
        return file
    if job.start_adapter is None:
        raise BadOrder(
            f"The adapter that {job.name} was to start from is deleted. Clone the job and choose "
            "another one, or none."
        )
    staged = job.run / f".new.{KEPT}"
    try:
        shutil.copyfile(weights_of(job.start_adapter), staged)
        with staged.open("rb") as copy:
            os.fsync(copy.fileno())
        staged.rename(file)
    except OSError as error:
        raise BadOrder(
            f"{job.start_adapter} can't be copied to the run ({error.strerror or error}). Look "
            "whether its files are there and the disk has room, then resume the job."
        ) from error
    return file


def _found(name: str, base: LocalModel | None) -> Adapter | None:
    """None where there is none, or where it can't be told which one is meant."""
    adapters = Adapter.objects.select_related("base")
    if "/" in name:
        path = Path(name)
        folder = path.parent if path.name == WEIGHTS_FILE else path
        adapters = adapters.filter(path=str(folder))
    elif ":" in name:
        over, _, slug = name.rpartition(":")
        adapters = adapters.filter(base__in=LocalModel.objects.named(over), slug=slug)
    else:
        adapters = adapters.filter(slug=name)
    if base is not None and (over_base := adapters.filter(base=base).first()) is not None:
        return over_base
    found = list(adapters[:2])
    return found[0] if len(found) == 1 else None


def _others(base: LocalModel | None) -> str:
    if base is None:
        return " Name it as MODEL:ADAPTER, or by its folder."
    names = [str(one) for one in Adapter.objects.filter(base=base).order_by("slug")[:5]]
    if not names:
        return f" {base.name} has no adapters: start from none."
    return f" Over {base.name} there {'is' if len(names) == 1 else 'are'}: {', '.join(names)}."


def _shape(adapter: Adapter) -> AdapterShape:
    """Raises BadOrder."""
    try:
        return read_shape(Path(adapter.path))
    except AdapterFormatError as error:
        raise BadOrder(f"{adapter} can't be started from. {error}") from error


def _settings(shape: AdapterShape, blocks: int) -> dict[str, Any]:
    """Under which a run has the adapter's shape, by TrainingConfig's names."""
    layers = len(shape.blocks)
    return {
        "method": shape.method,
        "num_layers": -1 if layers == blocks else layers,
        "lora": {"rank": shape.rank, "scale": shape.scale, "keys": sorted(shape.keys)},
    }


def _differences(
    base: LocalModel, subject: Subject, config: TrainingConfig, shape: AdapterShape
) -> Iterator[str]:
    if shape.method != config.method:
        yield f"its method is {shape.method}, and {config.method} is set"
    if shape.rank != config.lora.rank:
        yield f"its rank is {shape.rank}, and {config.lora.rank} is set"
    layers = subject.blocks if config.num_layers == -1 else config.num_layers
    if len(shape.blocks) != layers:
        yield f"it changes {len(shape.blocks)} layers, and {layers} are to be trained"
    elif shape.blocks != frozenset(range(subject.blocks - layers, subject.blocks)):
        yield f"it changes other layers than the last {layers}"
    wanted = _keys(base, subject, config)
    if wanted is not None and wanted != shape.keys:
        yield (
            f"its layer keys are {', '.join(sorted(shape.keys))}, and the run has "
            f"{', '.join(sorted(wanted))}"
        )


def _keys(base: LocalModel, subject: Subject, config: TrainingConfig) -> frozenset[str] | None:
    """Those that the run adapts; None where only the trainer knows them."""
    if config.lora.keys is not None:
        return frozenset(config.lora.keys)
    plain = subject.config.get("model_type") in PLAIN
    return layer_names(Path(base.path)) if plain else None
