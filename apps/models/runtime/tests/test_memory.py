from __future__ import annotations

from pathlib import Path

import pytest

from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.headers import read_tensors
from apps.models.runtime.memory import (
    Estimate,
    Shape,
    Term,
    TrainingPlan,
    Weights,
    estimate,
    estimate_chat,
    estimate_training,
)
from apps.models.runtime.memory.chat import working_bytes
from apps.models.runtime.tests.folders import quantized, write_folder

CPU = AcceleratorProfile("cpu", "test", "mkl", 2**33, None, compute_float32=True)
GPU = AcceleratorProfile("metal", "test", None, 2**33, None, compute_float32=False)
TENSORS = quantized("up", 96, 64, 4, 32) | {"norm.weight": ("BF16", [64])}
QUANTIZATION = {"quantization": {"group_size": 32, "bits": 4}}


def test_on_a_cpu_every_weight_counts_four_bytes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, TENSORS, QUANTIZATION)

    assert estimate(folder, CPU).weights_bytes == 4 * (96 * 64 + 64)


def test_on_a_gpu_weights_stay_as_large_as_their_file_has_them(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, TENSORS, QUANTIZATION)

    packed, scales = 96 * 64 // 2, 2 * 96 * 2 * 2
    assert estimate(folder, GPU).weights_bytes == packed + scales + 2 * 64


@pytest.mark.parametrize(
    ("config", "elements"),
    [
        ({}, 2 * 2 * 2 * 16),
        ({"head_dim": 32}, 2 * 2 * 2 * 32),
        ({"num_key_value_heads": None}, 2 * 2 * 4 * 16),
        ({"layer_types": ["linear_attention", "full_attention"]}, 1 * 2 * 2 * 16),
        ({"kv_lora_rank": 24, "qk_rope_head_dim": 8}, 2 * (24 + 8)),
        ({"text_config": {"num_hidden_layers": 5}}, 5 * 2 * 2 * 16),
    ],
)
def test_a_token_takes_keys_and_values_in_every_layer_with_attention(
    tmp_path: Path, config: dict[str, object], elements: int
) -> None:
    folder = write_folder(tmp_path, TENSORS, QUANTIZATION | config)

    assert estimate(folder, CPU).kv_bytes_per_token == 4 * elements
    assert estimate(folder, GPU).kv_bytes_per_token == 2 * elements


def test_the_total_grows_with_the_context(tmp_path: Path) -> None:
    found = estimate(write_folder(tmp_path, TENSORS, QUANTIZATION), CPU)

    assert found.overhead_bytes > 0
    assert found.total(1000) - found.total() == 1000 * found.kv_bytes_per_token


def test_a_folder_without_a_model_has_no_estimate(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError):
        estimate(tmp_path, CPU)


CONFIG = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
    "torch_dtype": "bfloat16",
}  # fmt: skip
SHAPE = Shape.of(CONFIG)
PLAIN = Weights(parameters=10_000, nbytes=20_000)
PACKED = Weights(parameters=10_000, nbytes=5_625, quantized=True)


def test_a_chat_is_the_sum_of_named_terms() -> None:
    found = estimate_chat(SHAPE, PLAIN, CPU, 512)

    assert [term.label for term in found.terms] == ["Weights", "KV cache", "Working memory"]
    assert found.total == sum(term.nbytes for term in found.terms)
    assert found.terms[1].nbytes == 4 * 2 * (2 * 2 * 16) * 512
    assert all(term.how for term in found.terms)


def test_a_load_that_takes_more_than_the_chat_is_a_term_of_its_own() -> None:
    weights = Weights(parameters=10**7, nbytes=2 * 10**7, largest_nbytes=10**7)

    found = estimate_chat(SHAPE, weights, CPU, 16)

    assert found.terms[-1].label == "While loading"
    assert found.total == 4 * 10**7 + 10**7


def test_fused_attention_writes_no_scores_down() -> None:
    wide = Shape.of(CONFIG | {"head_dim": 128})
    odd = Shape.of(CONFIG | {"head_dim": 120})

    def growth(shape: Shape) -> int:
        return working_bytes(shape, GPU, context=8192, chunk=512) - working_bytes(
            shape, GPU, context=4096, chunk=512
        )

    assert growth(odd) > 2 * 512 * 4096 * 4 > growth(wide)


@pytest.mark.parametrize(
    ("free", "verdict"), [(999, "too big"), (1000, "tight"), (1149, "tight"), (1150, "fits")]
)
def test_what_fits_leaves_room_for_the_error_of_its_estimate(free: int, verdict: str) -> None:
    assert Estimate((Term("Weights", 1000, "counted"),)).verdict(free) == verdict


def bytes_of(estimate: Estimate, label: str) -> int:
    return sum(term.nbytes for term in estimate.terms if term.label == label)


def test_only_the_layers_that_are_trained_keep_activations() -> None:
    def kept(layers: int) -> int:
        plan = TrainingPlan(layers=layers, checkpoint=False)
        return bytes_of(estimate_training(SHAPE, PLAIN, GPU, plan), "Activations")

    assert kept(-1) == kept(16) == 2 * kept(1)


def test_checkpointing_keeps_less() -> None:
    deep = Shape.of(CONFIG | {"num_hidden_layers": 12})
    plans = [TrainingPlan(layers=-1, checkpoint=checkpoint) for checkpoint in (True, False)]

    with_it, without = (estimate_training(deep, PLAIN, GPU, plan).total for plan in plans)

    assert with_it < without / 2


def test_a_full_fine_tune_trains_every_weight() -> None:
    found = estimate_training(SHAPE, PLAIN, GPU, TrainingPlan("full"))

    assert bytes_of(found, "Weights") == bytes_of(found, "Gradients") == 20_000
    assert bytes_of(found, "Optimiser") == 40_000


def test_qlora_packs_what_is_not_packed_yet() -> None:
    plan = TrainingPlan("qlora")

    assert bytes_of(estimate_training(SHAPE, PLAIN, CPU, plan), "Weights") == 5_625
    assert bytes_of(estimate_training(SHAPE, PACKED, CPU, plan), "Weights") == 5_625


def test_a_full_fine_tune_unpacks_what_is_packed() -> None:
    found = estimate_training(SHAPE, PACKED, GPU, TrainingPlan("full"))

    assert bytes_of(found, "Weights") == 20_000


@pytest.mark.parametrize(
    ("config", "parameters"),
    [(CONFIG, 9000), (CONFIG | {"torch_dtype": "float32"}, 4500),
     (CONFIG | {"quantization": {"group_size": 64, "bits": 4}}, 32_000)],
)  # fmt: skip
def test_a_files_size_and_its_type_give_the_parameters(
    config: dict[str, object], parameters: int
) -> None:
    assert Weights.of_bytes(18_000, config).parameters == parameters


def test_a_vision_towers_weights_stay_in_their_file(tmp_path: Path) -> None:
    tensors = {"vision_tower.x": ("BF16", [50]), "norm.weight": ("BF16", [64])}

    folder = write_folder(tmp_path, tensors)

    assert Weights.of_tensors(read_tensors(folder), CONFIG).parameters == 64
