"""Runs one fine-tuning to its end: ``python -m apps.training.trainer RUN_FOLDER``.

Exit status: 0 where the run ended as it says in its last event, 1 where it failed.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from apps.models.runtime import accelerator
from apps.models.runtime.errors import RuntimeFault
from apps.training.trainer.config import read_config
from apps.training.trainer.control import Control
from apps.training.trainer.errors import BadConfig, OutOfMemory, TrainingFault
from apps.training.trainer.events import EventLog, Failed, Started

CONFIG_FILE = "config.json"

logger = logging.getLogger(__name__)

_SHORTAGE = ("bad_alloc", "unable to allocate", "out of memory", "insufficient memory", "[malloc")


def main(run: Path, control: Control) -> int:
    """Train what the run's folder says; every failure becomes the run's last event."""
    log = EventLog(run)
    try:
        _train(run, log, control)
    except TrainingFault as fault:
        return _failed(log, fault)
    except Exception as error:  # whatever it is, the run's last event has to tell it
        logger.exception("the run broke")
        return _failed(log, _explained(error))
    return 0


def _train(run: Path, log: EventLog, control: Control) -> None:
    # MLX must find its BLAS in memory, so it is imported behind this.
    profile = accelerator.prepare()
    from mlx_lm.utils import get_total_parameters

    from apps.models.runtime import cpu, loading
    from apps.training.trainer.data import read_rows, require_rows
    from apps.training.trainer.loop import Trainer
    from apps.training.trainer.setup import prepare_model, trainable

    cpu.uninstall()  # nothing can be learnt through stand-ins that were installed before
    config = read_config(run / CONFIG_FILE)
    try:
        loaded = loading.load(Path(config.model), profile)
    except RuntimeFault as error:
        raise BadConfig(str(error)) from error
    prepare_model(loaded.model, config)
    train, valid = (
        read_rows(
            Path(config.data) / name,
            loaded.tokenizer,
            mask_prompt=config.mask_prompt,
            max_seq_length=config.max_seq_length,
        )
        for name in ("train.jsonl", "valid.jsonl")
    )
    require_rows(train, "train.jsonl", config.max_seq_length)
    trainer = Trainer(config, run, loaded.model, loaded.tokenizer, train, valid, log, control)
    log.tell(
        Started(
            step=trainer.progress.step,
            parameters=get_total_parameters(loaded.model),
            trainable=sum(array.size for array in trainable(loaded.model).values()),
            rows=len(train),
            validation_rows=len(valid),
            truncated=train.truncated,
            dropped=train.dropped,
            tokens=train.tokens,
        )
    )
    trainer.run()


def _failed(log: EventLog, fault: TrainingFault) -> int:
    log.tell(Failed(fault=fault.kind, message=str(fault)))
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
    return TrainingFault(
        f"The trainer broke: {error!r}. The run's log has the details. Resume the run; it goes "
        "on from its newest checkpoint."
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    listening = Control()
    listening.listen(sys.stdin)
    sys.exit(main(Path(sys.argv[1]), listening))
