from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.models.runtime.adapters import CONFIG_FILE, WEIGHTS_FILE, read_adapter
from apps.models.runtime.errors import AdapterFormatError
from apps.models.runtime.tests.adapter_folders import CONFIG, Q_PROJ, lora, write_adapter
from apps.models.runtime.tests.folders import quantized, write_folder


def test_an_adapter_says_its_rank_and_the_layers_it_changes(tmp_path: Path) -> None:
    adapter = read_adapter(write_adapter(tmp_path / "a"))

    assert adapter.config.lora_parameters.rank == 4
    assert adapter.layers == {"model.layers.0.self_attn.q_proj"}


def test_equal_files_have_equal_digests_wherever_they_lie(tmp_path: Path) -> None:
    one, other = (read_adapter(write_adapter(tmp_path / name)) for name in ("one", "other"))

    assert one.digest == other.digest
    assert one.digest.startswith("sha256:")


def test_another_scale_is_another_digest(tmp_path: Path) -> None:
    louder = {"rank": 4, "scale": 20.0}
    one = read_adapter(write_adapter(tmp_path / "a"))
    other = read_adapter(write_adapter(tmp_path / "a", config=CONFIG | {"lora_parameters": louder}))

    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fine_tune_type": "full"}, "mlx_lm.fuse"),
        ({"fine_tune_type": "prefix"}, "fine_tune_type"),
        ({"num_layers": "all"}, "num_layers"),
        ({"lora_parameters": {"rank": 0, "scale": 1.0}}, "rank"),
        ({"lora_parameters": {"rank": 4, "alpha": 16}}, "scale"),
        ({"lora_parameters": {"rank": 4, "scale": "inf"}}, "scale"),
        ({"peft_type": "LORA", "lora_parameters": None}, "PEFT"),
    ],
)
def test_a_configuration_that_describes_no_adapter_is_refused_with_the_reason(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    folder = write_adapter(tmp_path / "a", config=CONFIG | change)

    with pytest.raises(AdapterFormatError, match=reason):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ({}, "no weights"),
        ({"model.layers.0.mlp.up_proj.weight": [4, 4]}, "not part of a LoRA"),
        ({"lora_a": [4, 4], "lora_b": [4, 4]}, "not part of a LoRA"),
        ({"x.lora_a": [64, 4]}, "one factor without the other"),
        ({"x.lora_a": [64, 4], "x.lora_b": [5, 64]}, "rank 4"),
        (lora("x", 64, 64, rank=8), "rank 4"),
        ({"x.lora_a": [64, 4], "x.lora_b": [2, 64, 4]}, "rank 4"),
    ],
)
def test_weights_that_are_no_adapter_are_refused_with_the_reason(
    tmp_path: Path, shapes: dict[str, list[int]], reason: str
) -> None:
    with pytest.raises(AdapterFormatError, match=reason):
        read_adapter(write_adapter(tmp_path / "a", shapes))


def test_integers_are_no_adapter(tmp_path: Path) -> None:
    with pytest.raises(AdapterFormatError, match="I32"):
        read_adapter(write_adapter(tmp_path / "a", dtype="I32"))


@pytest.mark.parametrize("missing", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = write_adapter(tmp_path / "a")
    (folder / missing).unlink()

    with pytest.raises(AdapterFormatError, match=missing):
        read_adapter(folder)


def test_a_pickle_in_the_place_of_weights_is_not_read(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a")
    (folder / WEIGHTS_FILE).write_bytes(b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os.")

    with pytest.raises(AdapterFormatError, match="safetensors"):
        read_adapter(folder)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_refused_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    folder = write_adapter(tmp_path / "a")
    file = folder / data.draw(st.sampled_from([CONFIG_FILE, WEIGHTS_FILE]))
    content = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[position:]
    else:
        content[position] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)

    with suppress(AdapterFormatError):
        assert read_adapter(folder).layers


BASE = {"model.layers.0.self_attn.q_proj.weight": ("BF16", [64, 64])}


@pytest.mark.parametrize(
    "weights", [BASE, quantized("model.layers.0.self_attn.q_proj", 64, 64, 4, 32)]
)
def test_an_adapter_fits_its_base_quantised_or_not(tmp_path: Path, weights: Any) -> None:
    quantization = {"quantization": {"bits": 4, "group_size": 32}}
    base = write_folder(tmp_path / "base", weights, quantization)

    read_adapter(write_adapter(tmp_path / "a")).require_base(base)


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        (lora("model.layers.0.self_attn.q_proj", 64, 32), "2048 weights"),
        (Q_PROJ | lora("model.layers.2.self_attn.q_proj", 64, 64), "block 2"),
    ],
)
def test_an_adapter_for_another_base_is_refused(
    tmp_path: Path, shapes: dict[str, list[int]], reason: str
) -> None:
    base = write_folder(tmp_path / "base", BASE)

    with pytest.raises(AdapterFormatError, match=reason):
        read_adapter(write_adapter(tmp_path / "a", shapes)).require_base(base)


def test_a_mixture_of_experts_is_counted_by_all_its_experts(tmp_path: Path) -> None:
    layer = "model.layers.0.mlp.switch_mlp.up_proj"
    base = write_folder(tmp_path / "base", {f"{layer}.weight": ("BF16", [8, 32, 64])})
    shapes = {f"{layer}.lora_a": [8, 4, 64], f"{layer}.lora_b": [8, 32, 4]}

    read_adapter(write_adapter(tmp_path / "a", shapes)).require_base(base)


def test_settings_of_the_training_beside_what_matters_are_ignored(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "a")
    (folder / CONFIG_FILE).write_text(
        json.dumps(
            CONFIG
            | {
                "model": "m",
                "lora_parameters": {**CONFIG["lora_parameters"], "keys": ["self_attn.q_proj"]},
            }
        )
    )

    assert read_adapter(folder).config.fine_tune_type == "lora"
