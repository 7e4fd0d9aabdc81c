"""Runs one fine-tuning to its end: ``python -m apps.training.trainer RUN_FOLDER``.

Where the configuration names several hosts, this process starts one for each of them, with
``--ranks``. Exit status: 0 where the run ended as it says in its last event, 1 where it failed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from apps.models.runtime import accelerator
from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.errors import RuntimeFault
from apps.observability.logs import configure
from apps.training.trainer.config import TrainingConfig, read_config
from apps.training.trainer.control import Control, PostedControl
from apps.training.trainer.errors import BadConfig, OutOfMemory, RankLost, TrainingFault
from apps.training.trainer.events import EventLog, Failed, Silence, Started
from apps.training.trainer.launching import launch

if TYPE_CHECKING:
    from apps.training.trainer.ranks import World

CONFIG_FILE = "config.json"

logger = logging.getLogger(__name__)

_SHORTAGE = ("bad_alloc", "unable to allocate", "out of memory", "insufficient memory", "[malloc")


@dataclass(frozen=True)
class Part:
    """Which of a run's processes this one is."""

    ranks: int = 1
    """Processes that train together, on several machines."""
    patience: float | None = None
    """Seconds without a step after which the others are taken for lost; None: there are none."""


def main(run: Path, control: Control, part: Part = Part()) -> int:
    """Train what the run's folder says; every failure becomes the run's last event."""
    # MLX must find its BLAS in memory, so it is imported behind this.
    profile = accelerator.prepare()
    # All that takes long to import, too: others are patient from the moment that they meet.
    import apps.training.trainer.loop  # noqa: F401
    from apps.training.trainer.ranks import World

    log: EventLog = Silence()
    try:
        world = World(part.ranks, part.patience)
        log = EventLog(run) if world.is_first else log
        _train(run, log, control, world, profile)
    except TrainingFault as fault:
        return _failed(log, fault)
    except Exception as error:  # whatever it is, the run's last event has to tell it
        logger.exception("the run broke")
        return _failed(log, _explained(error))
    return 0


def _train(
    run: Path, log: EventLog, control: Control, world: World, profile: AcceleratorProfile
) -> None:
    from mlx_lm.utils import get_total_parameters

    from apps.models.runtime import cpu, loading
    from apps.training.trainer.beginning import begin_with
    from apps.training.trainer.data import read_splits
    from apps.training.trainer.loop import Trainer
    from apps.training.trainer.objectives import objective_of
    from apps.training.trainer.reference import Reference
    from apps.training.trainer.setup import prepare_model, trainable

    cpu.uninstall()  # nothing can be learnt through stand-ins that were installed before
    config = _config(run, world)
    try:
        loaded = loading.load(Path(config.model), profile)
    except RuntimeFault as error:
        raise BadConfig(str(error)) from error
    prepare_model(loaded.model, config)
    if config.resume_adapter_file is not None:
        begin_with(loaded.model, Path(config.resume_adapter_file), world)
    world.beat()
    objective = objective_of(config)
    splits = read_splits(loaded.tokenizer, config, pairs=objective.pairs)
    world.beat()
    if objective.has_reference:
        splits = Reference(run, config, loaded.model, world, control).added(splits)
    trainer = Trainer(config, run, loaded.model, loaded.tokenizer, splits, log, control, world)
    train = splits.train
    log.tell(
        Started(
            step=trainer.progress.step,
            parameters=get_total_parameters(loaded.model),
            trainable=sum(array.size for array in trainable(loaded.model).values()),
            rows=len(train),
            validation_rows=len(splits.valid),
            test_rows=len(splits.test),
            truncated=train.truncated,
            dropped=train.dropped,
            tokens=train.tokens,
        )
    )
    trainer.run()


def _config(run: Path, world: World) -> TrainingConfig:
    """The first rank's: the others need not see the run's folder. Raises BadConfig."""
    own = read_config(run / CONFIG_FILE).model_dump_json() if world.is_first else ""
    return TrainingConfig.model_validate_json(world.text(own))


def _failed(log: EventLog, fault: TrainingFault) -> int:
    logger.error("%s: %s", fault.kind, fault)
    log.tell_last(Failed(fault=fault.kind, message=str(fault)))
    return 1


def _explained(error: Exception) -> TrainingFault:
    """What it means for whoever started the run; MLX has no type of its own for a shortage."""
    shortage = any(word in str(error).lower() for word in _SHORTAGE)
    if shortage or isinstance(error, MemoryError):
        return OutOfMemory(
            f"There was not enough memory for a step ({error}). Use a smaller batch_size or "
            "max_seq_length, switch gradient_checkpointing on, train fewer layers, or unload "
            "models."
        )
    if "[ring]" in str(error) or "[distributed]" in str(error):
        return RankLost(
            f"Another machine of the run is gone ({error}). The run's log has what it wrote. "
            "Resume the run: it goes on from its newest checkpoint."
        )
    return TrainingFault(
        f"The trainer broke: {error!r}. The run's log has the details. Resume the run; it goes "
        "on from its newest checkpoint."
    )


def _run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m apps.training.trainer")
    parser.add_argument("run", type=Path)
    parser.add_argument("--ranks", type=int, help="This is one of so many, under mlx.launch.")
    parser.add_argument("--patience", type=float, help="Seconds to wait for the others.")
    given = parser.parse_args(arguments)
    if given.ranks is not None:
        # The others are ended by a signal where one is lost: no handler, they may be stuck.
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
        return main(given.run, PostedControl(given.run), Part(given.ranks, given.patience))
    control = Control()
    control.listen(sys.stdin)
    with suppress(BadConfig):  # it is told where the run begins
        config = read_config(given.run / CONFIG_FILE)
        if len(config.hosts) > 1:
            return launch(given.run, config, control)
    return main(given.run, control)


if __name__ == "__main__":
    configure(process="trainer", level="info", form="json")
    sys.exit(_run(sys.argv[1:]))
