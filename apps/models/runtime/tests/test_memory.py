from __future__ import annotations

from pathlib import Path

import pytest

from apps.models.runtime.accelerator import AcceleratorProfile
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.memory import estimate
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
