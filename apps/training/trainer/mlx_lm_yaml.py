"""A run's settings as the YAML that ``mlx_lm.lora --config`` takes, and back.

Settings that mlx-lm does not know (patience, prompts, …) keep their own names; its own
that mean nothing here (``report_to``, ``adapter_path``, …) are passed over. Format:
https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/examples/lora_config.yaml
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from apps.training.trainer.config import TrainingConfig
from apps.training.trainer.errors import BadConfig

MAX_BYTES = 100_000

_NAMES = {
    "fine_tune_type": "method",
    "lora_parameters": "lora",
    "save_every": "steps_per_save",
    "grad_checkpoint": "gradient_checkpointing",
    "grad_accumulation_steps": "accumulation",
}
"""mlx-lm's names of what is called otherwise here."""

_PASSED_OVER = frozenset({
    "train", "adapter_path", "config", "clear_cache_threshold", "report_to", "project_name",
})  # fmt: skip

_REFUSED = {
    "trust_remote_code": "A model's own code is never run here.",
}

_SCHEDULES = {"cosine": "cosine_decay", "linear": "linear_schedule"}


class _Loader(yaml.SafeLoader):
    """YAML 1.1 takes ``1e-5`` for text; mlx-lm and everybody else for a number."""


class _Dumper(yaml.SafeDumper):
    """Puts quotes around every text that ``_Loader`` would take for a number."""


_FLOAT = "tag:yaml.org,2002:float"
_WRITTEN = re.compile(
    r"(?:[-+]?(?:(?:\d[\d_]*)?\.\d+|\d[\d_]*\.?)(?:[eE][-+]?\d+)?|[-+]?\.inf|\.nan)\Z"
)

for _Class in (_Loader, _Dumper):
    _resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag != _FLOAT]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    # The first pattern that matches counts, and whole numbers are to stay whole.
    for _first in "-+0123456789.":
        _resolvers.setdefault(_first, []).append((_FLOAT, _WRITTEN))
    _Class.yaml_implicit_resolvers = _resolvers

# Only what stands in double quotes keeps every kind of line break.
_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"'
    ),
)


def read_yaml(text: str) -> dict[str, Any]:
    """The settings in ``text``, by TrainingConfig's names and not checked further.

    ``model`` and ``data`` are among them where the text has them. Raises BadConfig.
    """
    if len(text.encode()) > MAX_BYTES:
        raise BadConfig(f"The YAML has more than {MAX_BYTES:,} bytes: it holds no settings.")
    try:
        given = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadConfig(f"The settings are no YAML: {str(error).splitlines()[0]}.") from error
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(key, str) for key in given):
        raise BadConfig("The YAML holds no settings: it should have lines as `iters: 600`.")
    for name, instead in _REFUSED.items():
        if given.get(name):
            raise BadConfig(f"{name} can't be used here. {instead}")
    settings: dict[str, Any] = {
        _NAMES.get(str(name), str(name)): value
        for name, value in given.items()
        if name not in _PASSED_OVER and name not in _REFUSED
    }
    _take_optimizer(settings)
    _take_schedule(settings)
    return {name: value for name, value in settings.items() if value is not None}


def write_yaml(config: TrainingConfig) -> str:
    """The same settings for ``mlx_lm.lora --config``; what it does not know follows below."""
    known = config.model_dump(mode="json", exclude={"optimizer_options", "schedule"})
    turned = {here: there for there, here in _NAMES.items()}
    theirs: dict[str, Any] = {"train": True} | {
        turned.get(name, name): value for name, value in known.items() if name not in _OURS
    }
    if config.resume_adapter_file is None:
        del theirs["resume_adapter_file"]
    theirs["lora_parameters"] = config.lora.model_dump(mode="json", exclude_none=True)
    if config.optimizer_options:
        theirs["optimizer_config"] = {config.optimizer: config.optimizer_options}
    theirs |= _schedule_of(config)
    ours = {name: known[name] for name in _OURS}
    if config.schedule.kind == "constant" and config.schedule.warmup:
        ours["schedule"] = config.schedule.model_dump(mode="json")
    return (
        f"{_dumped(theirs)}# Settings of the hub's own; mlx-lm passes over them.\n{_dumped(ours)}"
    )


_OURS = (
    "objective", "beta", "preference_loss", "max_grad_norm", "keep_checkpoints", "patience",
    "keep_best", "prompts", "prompt_tokens", "hosts", "host_timeout",
)  # fmt: skip


def _take_optimizer(settings: dict[str, Any]) -> None:
    options = settings.pop("optimizer_config", None)
    if options is None:
        return
    if not isinstance(options, dict):
        raise BadConfig("optimizer_config should have the options of an optimiser by its name.")
    chosen = options.get(settings.get("optimizer", "adam"))
    if chosen:
        settings["optimizer_options"] = chosen


def _take_schedule(settings: dict[str, Any]) -> None:
    """mlx-lm's ``lr_schedule`` names a function of mlx.optimizers and its arguments."""
    given = settings.pop("lr_schedule", None)
    if given is None:
        return
    try:
        kind = {name: kind for kind, name in _SCHEDULES.items()}[given["name"]]
        arguments = [float(each) for each in given["arguments"]]
        top = arguments[0]
        final = arguments[1] if kind == "linear" else (arguments[2:] or [0.0])[0]
        warmup = given.get("warmup") or 0
        settings["schedule"] = {"kind": kind, "warmup": warmup, "final": final / top}
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        ZeroDivisionError,
    ) as error:
        raise BadConfig(
            "lr_schedule can't be used. It should have the name cosine_decay or linear_schedule, "
            "and the arguments of that function, as mlx-lm's example has."
        ) from error
    settings["learning_rate"] = top


def _schedule_of(config: TrainingConfig) -> dict[str, Any]:
    schedule, top = config.schedule, config.learning_rate
    if schedule.kind == "constant":
        return {}
    rest, last = config.updates - schedule.warmup, top * schedule.final
    arguments = [top, last, rest] if schedule.kind == "linear" else [top, rest, last]
    return {
        "lr_schedule": {
            "name": _SCHEDULES[schedule.kind],
            "warmup": schedule.warmup,
            "arguments": arguments,
        }
    }


def _dumped(settings: dict[str, Any]) -> str:
    text: str = yaml.dump(settings, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text
