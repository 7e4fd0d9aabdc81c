"""Why a run could not begin or go on.

    TrainingFault
    ├── BadConfig         the settings contradict each other or the model
    ├── BadData           nothing in the data can be trained on, or a row can't be read
    ├── LossNotFinite     the loss became NaN or infinite
    ├── OutOfMemory       the device has no room for a step
    ├── DiskFull          a checkpoint could not be written
    ├── CheckpointDamaged no checkpoint of the run can be read
    └── RankLost          one of several machines is gone, or does not answer

Every message says what happened, why, and what to do. ``kind`` is the name that
programs go by.
"""

from __future__ import annotations


class TrainingFault(Exception):
    kind = "failed"


class BadConfig(TrainingFault):
    kind = "bad_config"


class BadData(TrainingFault):
    kind = "bad_data"


class LossNotFinite(TrainingFault):
    kind = "loss_not_finite"


class OutOfMemory(TrainingFault):
    kind = "out_of_memory"


class DiskFull(TrainingFault):
    kind = "disk_full"


class CheckpointDamaged(TrainingFault):
    kind = "checkpoint_damaged"


class RankLost(TrainingFault):
    kind = "rank_lost"


def disk_full(error: OSError) -> DiskFull:
    """What the run says where a file of it could not be written."""
    return DiskFull(
        f"The run's files can't be written ({error.strerror or error}). Make room on the disk, "
        "then resume the run: it goes on from its newest checkpoint."
    )
