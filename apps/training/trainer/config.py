"""What a run trains, and how. Checked once, here; every field has mlx-lm's meaning.

https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/LORA.md
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from apps.training.trainer.errors import BadConfig

Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
PreferenceLoss = Literal["sigmoid", "hinge", "ipo"]


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LoraParameters(_Frozen):
    """Hu et al. 2021, https://arxiv.org/abs/2106.09685; ``scale`` is their alpha / rank."""

    rank: int = Field(default=8, ge=1, le=1024)
    scale: float = Field(default=20.0, gt=0, le=1e4, allow_inf_nan=False)
    dropout: float = Field(default=0.0, ge=0, lt=1, allow_inf_nan=False)
    keys: tuple[str, ...] | None = None
    """Names of the layers to adapt inside a block, such as ``self_attn.q_proj``; None: all."""


class Schedule(_Frozen):
    """How the learning rate goes over the run, in updates."""

    kind: Literal["constant", "linear", "cosine"] = "constant"
    warmup: int = Field(default=0, ge=0)
    """Updates in which it rises from 0."""
    final: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """Share of the learning rate that is left at the end."""


class TrainingConfig(_Frozen):
    model: str
    """Folder of the base model."""
    data: str
    """Folder with train.jsonl and, for validation, valid.jsonl; test.jsonl where ``test`` is on."""
    resume_adapter_file: str | None = Field(default=None, max_length=1000)
    """Weights of an adapter that the run begins with, of the same shapes; None: new ones."""
    objective: Literal["sft", "dpo", "orpo"] = "sft"
    """Supervised, or by preference: then every row has a chosen and a rejected answer."""
    beta: float = Field(default=0.1, gt=0, le=1000, allow_inf_nan=False)
    """Of dpo: how closely the model keeps to what it was. Of orpo: what the odds ratio counts."""
    preference_loss: PreferenceLoss = "sigmoid"
    """Of dpo."""
    method: Literal["lora", "dora", "full"] = "lora"
    num_layers: int = Field(default=16, ge=-1, le=10_000)
    """Blocks to train, counted from the last; -1 for all."""
    lora: LoraParameters = LoraParameters()
    optimizer: Literal["adam", "adamw", "muon", "sgd", "adafactor"] = "adam"
    optimizer_options: dict[str, float | bool] = Field(default_factory=dict)
    """More arguments of mlx.optimizers' class, such as ``weight_decay``."""
    learning_rate: Rate = 1e-5
    schedule: Schedule = Schedule()
    max_grad_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Longer gradients are scaled down to this norm; None leaves them."""
    batch_size: int = Field(default=4, ge=1, le=4096)
    iters: Count = 1000
    """Batches to compute; ``accumulation`` of them make an update."""
    accumulation: int = Field(default=1, ge=1, le=4096)
    gradient_checkpointing: bool = False
    max_seq_length: int = Field(default=2048, ge=8, le=1_048_576)
    mask_prompt: bool = False
    seed: int = Field(default=0, ge=0, lt=2**32)
    val_batches: int = Field(default=25, ge=-1)
    """Validation batches, evenly spread; -1 for all."""
    test: bool = False
    """Whether the result of a run that is through is measured on test.jsonl."""
    test_batches: int = Field(default=500, ge=-1)
    """As ``val_batches``."""
    steps_per_report: Count = 10
    steps_per_eval: Count = 200
    steps_per_save: Count = 100
    keep_checkpoints: int = Field(default=2, ge=1, le=1000)
    patience: int | None = Field(default=None, ge=1)
    """Evaluations without a better validation loss after which the run ends; None: never."""
    keep_best: bool = False
    """Whether the result is the weights with the best validation loss, not the last ones."""
    prompts: tuple[Annotated[str, Field(min_length=1, max_length=10_000)], ...] = Field(
        default=(), max_length=16
    )
    """Answered at each evaluation, so that one sees what is learnt."""
    prompt_tokens: int = Field(default=64, ge=1, le=2048)
    hosts: tuple[Annotated[str, AfterValidator(_address)], ...] = Field(default=(), max_length=256)
    """IP addresses of the machines that train together, this one first; empty: this one alone.

    Each has this program, the model and the data at the same paths, and the first reaches the
    others by ssh.
    """
    host_timeout: int = Field(default=600, ge=1, le=86_400)
    """Seconds without a step after which a machine is taken for lost."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.method == "full" and self.resume_adapter_file is not None:
            raise ValueError(
                "all weights are trained, which an adapter is no start for. Fuse the adapter with "
                "its base and train what comes of it"
            )
        if self.iters < self.accumulation:
            raise ValueError(
                f"accumulation {self.accumulation} is more than iters {self.iters}: the model "
                "would never be updated"
            )
        if len(self.hosts) > self.batch_size:
            raise ValueError(
                f"a batch of {self.batch_size} can't be shared by {len(self.hosts)} machines: each "
                "needs a row of it"
            )
        if self.schedule.warmup >= self.updates and self.schedule.warmup:
            raise ValueError(
                f"the warm-up of {self.schedule.warmup} updates is not shorter than the run, "
                f"which has {self.updates}"
            )
        return self

    @property
    def updates(self) -> int:
        """How often the optimiser changes the weights."""
        return self.iters // self.accumulation


def read_config(path: Path) -> TrainingConfig:
    """The configuration in the file ``path``. Raises BadConfig."""
    try:
        return parse_config(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise BadConfig(f"The run's settings in {path.name} can't be read: {error}") from error


def parse_config(given: Any) -> TrainingConfig:
    """Raises BadConfig, with every problem in one message."""
    try:
        return TrainingConfig.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'settings'}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors()
        )
        raise BadConfig(f"The settings can't be used. {problems}.") from error
