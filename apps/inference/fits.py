"""The fit badges of a model of the registry, on the machine as its engine has it."""

from __future__ import annotations

from pathlib import Path

from apps.inference.machine import this_machine
from apps.models.fit import CHAT_CONTEXT, ModelFits, model_fits
from apps.models.models import LocalModel
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.headers import read_config, read_tensors
from apps.models.runtime.memory import Weights


def fits_of(model: LocalModel) -> ModelFits | None:
    """The badges; None where the model's files can't be read any more. Reads headers alone."""
    folder = Path(model.path)
    try:
        config = read_config(folder)
        weights = Weights.of_tensors(read_tensors(folder), config)
    except ModelFormatError:
        return None
    context = CHAT_CONTEXT if model.context_limit is None else model.context_limit
    return model_fits(config, weights, this_machine(), context=context)
