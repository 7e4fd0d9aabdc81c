"""Why a training job could not be ordered, or did not get to its end.

    TrainingError
    ├── BadOrder     the settings, the data or the base can't be used
    │   └── BadStart the adapter to go on from can't be
    ├── StillAtWork  the job has to stand still for this
    └── RunFailed    the trainer said why, or died

Every message says what happened, why, and what to do, and can be shown to a user.
"""

from __future__ import annotations


class TrainingError(Exception):
    """A training job can't begin or go on."""


class BadOrder(TrainingError):
    """Nothing is queued: what was asked for can't work."""


class BadStart(BadOrder):
    """There is no such adapter to go on from, or not over this base."""


class StillAtWork(TrainingError):
    """What was asked needs the job to stand still."""


class RunFailed(TrainingError):
    """The run ended without its result; ``fault`` names the kind, for programs."""

    def __init__(self, message: str, fault: str) -> None:
        super().__init__(message)
        self.fault = fault
