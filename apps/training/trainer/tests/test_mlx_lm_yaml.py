"""Settings go to mlx-lm's YAML and come back the same."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apps.training.trainer.config import TrainingConfig, parse_config
from apps.training.trainer.errors import BadConfig
from apps.training.trainer.mlx_lm_yaml import read_yaml, write_yaml

PLACES = {"model": "/m", "data": "/d"}

EXAMPLE = """
model: "mlx-community/Qwen3-0.6B-4bit"
train: true
fine_tune_type: dora
optimizer: adamw
optimizer_config:
  adamw:
    betas: [0.9, 0.98]
    eps: 1e-6
    weight_decay: 0.05
data: "mlx-community/WikiSQL"
seed: 3
num_layers: 8
batch_size: 2
iters: 600
learning_rate: 1e-5
report_to: wandb
resume_adapter_file: adapters/0000100_adapters.safetensors
test: true
test_batches: 100
save_every: 50
grad_checkpoint: true
lora_parameters:
  keys: ["self_attn.q_proj", "self_attn.v_proj"]
  rank: 16
  scale: 10
lr_schedule:
  name: cosine_decay
  warmup: 100
  warmup_init: 1e-7
  arguments: [1e-4, 500, 1e-5]
"""


def test_mlx_lms_names_are_understood() -> None:
    found = read_yaml(EXAMPLE)
    assert (found["method"], found["steps_per_save"], found["gradient_checkpointing"]) == (
        "dora",
        50,
        True,
    )
    assert found["lora"]["rank"] == 16
    assert found["optimizer_options"]["weight_decay"] == 0.05
    assert found["schedule"] == {"kind": "cosine", "warmup": 100, "final": pytest.approx(0.1)}
    assert found["learning_rate"] == 1e-4
    assert (found["test"], found["test_batches"]) == (True, 100)
    assert found["resume_adapter_file"] == "adapters/0000100_adapters.safetensors"
    assert "report_to" not in found


def test_numbers_are_what_they_look_like() -> None:
    found = read_yaml("a: 1e-5\nb: 12\nc: 1.5\nd: 0.1e-3\ne: text\nf: 1_000\ng: 2.\n")
    assert found == {"a": 1e-5, "b": 12, "c": 1.5, "d": 1e-4, "e": "text", "f": 1000, "g": 2.0}
    assert isinstance(found["b"], int)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1, 2]", "holds no settings"),
        ("a: [", "no YAML"),
        ("lr_schedule: {name: exponential_decay, arguments: [1]}", "lr_schedule"),
        ("lr_schedule: {name: cosine_decay, arguments: [0, 5]}", "lr_schedule"),
        ("trust_remote_code: true", "never run"),
        ("x: !!python/object/apply:os.system [ls]", "no YAML"),
        ("a: 1\n" * 30_000, "more than"),
    ],
)
def test_what_can_not_be_used_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadConfig, match=told):
        read_yaml(text)


def test_mlx_lm_reads_what_is_written() -> None:
    config = parse_config(
        PLACES | {"schedule": {"kind": "linear", "warmup": 5}, "learning_rate": 2e-4}
    )
    written = yaml.safe_load(write_yaml(config))
    assert written["train"] is True
    assert written["lr_schedule"]["arguments"] == [2e-4, 0.0, 995]
    assert written["lora_parameters"] == {"rank": 8, "scale": 20.0, "dropout": 0.0}


@given(
    rank=st.integers(1, 64),
    rate=st.floats(1e-7, 1, allow_nan=False),
    kind=st.sampled_from(["constant", "linear", "cosine"]),
    warmup=st.integers(0, 50),
    method=st.sampled_from(["lora", "dora", "full"]),
    prompts=st.lists(st.text(min_size=1, max_size=20), max_size=3),
    patience=st.none() | st.integers(1, 9),
    test=st.booleans(),
    start=st.none() | st.just("/a/adapters.safetensors"),
)
def test_settings_come_back_the_same(
    rank, rate, kind, warmup, method, prompts, patience, test, start
) -> None:
    config = parse_config(
        PLACES
        | {
            "method": method,
            "lora": {"rank": rank},
            "learning_rate": rate,
            "schedule": {"kind": kind, "warmup": warmup, "final": 0.5},
            "prompts": prompts,
            "patience": patience,
            "max_grad_norm": 1.0,
            "test": test,
            "test_batches": 7,
            "resume_adapter_file": None if method == "full" else start,
        }
    )
    back = TrainingConfig.model_validate(read_yaml(write_yaml(config)))
    if kind == "constant" and not warmup:
        config = config.model_copy(update={"schedule": back.schedule})
    assert back.schedule.final == pytest.approx(config.schedule.final)
    exact = {"schedule": config.schedule}
    assert back.model_copy(update=exact) == config
