from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.inspect import inspect_model
from apps.models.runtime.tests.folders import quantized, write_folder

PLAIN = {"model.norm.weight": ("BF16", [64]), "lm_head.weight": ("BF16", [100, 64])}


def test_plain_weights_are_counted_and_named_by_their_type(tmp_path: Path) -> None:
    facts = inspect_model(write_folder(tmp_path, PLAIN))

    assert facts.architecture == "llama"
    assert facts.parameters == 64 + 6400
    assert facts.quantization == "bfloat16"
    assert facts.size_bytes == (tmp_path / "model.safetensors").stat().st_size
    assert facts.context_length == 2048


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_packed_weights_are_counted_one_by_one(tmp_path: Path, bits: int) -> None:
    tensors = quantized("model.layers.0.mlp.up_proj", 96, 64, bits, 32)
    config = {"quantization": {"group_size": 32, "bits": bits}}

    facts = inspect_model(write_folder(tmp_path, tensors, config))

    assert facts.parameters == 96 * 64
    assert facts.quantization == f"{bits}-bit"


def test_layers_with_other_bits_and_groups_make_it_mixed(tmp_path: Path) -> None:
    tensors = quantized("embed", 100, 64, 8, 32) | quantized("up", 96, 128, 4, 64)
    config = {"quantization": {"group_size": 64, "bits": 4, "embed": {"group_size": 32, "bits": 8}}}

    facts = inspect_model(write_folder(tmp_path, tensors, config))

    assert facts.parameters == 100 * 64 + 96 * 128
    assert facts.quantization == "mixed 4/8-bit"


@pytest.mark.parametrize(
    ("config", "tokenizer_limit", "expected"),
    [
        ({}, None, 2048),
        ({}, 512, 512),
        ({}, 1e30, 2048),
        (
            {"max_position_embeddings": None, "text_config": {"max_position_embeddings": 99}},
            None,
            99,
        ),
        ({"max_position_embeddings": None}, None, 4096),
    ],
)
def test_the_context_is_what_weights_and_tokenizer_agree_on(
    tmp_path: Path, config: dict[str, Any], tokenizer_limit: float | None, expected: int
) -> None:
    tokenizer = {"model_max_length": tokenizer_limit}

    facts = inspect_model(write_folder(tmp_path, PLAIN, config, tokenizer_config=tokenizer))

    assert facts.context_length == expected


def test_a_chat_template_is_found_in_either_place(tmp_path: Path) -> None:
    without = write_folder(tmp_path / "a", PLAIN)
    inside = write_folder(tmp_path / "b", PLAIN, tokenizer_config={"chat_template": "{{ 1 }}"})
    beside = write_folder(tmp_path / "c", PLAIN)
    (beside / "chat_template.jinja").write_text("{{ 1 }}")

    found = [inspect_model(folder).kind for folder in (without, inside, beside)]

    assert found == ["completion", "chat", "chat"]


def test_a_chat_template_knows_tools_if_it_mentions_them(tmp_path: Path) -> None:
    plain = write_folder(tmp_path / "a", PLAIN, tokenizer_config={"chat_template": "{{ 1 }}"})
    named = [{"name": "default", "template": "{{ 1 }}"}, {"name": "t", "template": "{{ tools }}"}]
    several = write_folder(tmp_path / "b", PLAIN, tokenizer_config={"chat_template": named})

    assert [inspect_model(folder).knows_tools for folder in (plain, several)] == [False, True]


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlicense: apache-2.0\ntags:\n- mlx\n---\n# Hi", "apache-2.0"),
        ("---\r\nlicense: 'mit'\r\n---\r\n", "mit"),
        ("# Hi\nlicense: mit\n", ""),
        ("---\nlicense: <script>\n---\n", ""),
    ],
)
def test_the_licence_comes_from_the_model_card(tmp_path: Path, card: str, expected: str) -> None:
    write_folder(tmp_path, PLAIN)
    (tmp_path / "README.md").write_text(card, newline="")

    assert inspect_model(tmp_path).license == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", b""),
        ("config.json", b"[]"),
        ("config.json", b"\xff\xfe"),
        ("config.json", b"{}"),
        ("config.json", b"[" * 100_000),
        ("tokenizer_config.json", b"{"),
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff" * 64),
        ("model.safetensors", (2).to_bytes(8, "little") + b"[]"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    write_folder(tmp_path, PLAIN, tokenizer_config={})
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ModelFormatError, match=name.replace(".", r"\.")):
        inspect_model(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, PLAIN)
    (tmp_path / name).unlink()

    with pytest.raises(ModelFormatError, match=r"safetensors|config"):
        inspect_model(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [2**60, 2**60 + 4]},
        {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32"},
        [],
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, entry: object) -> None:
    write_folder(tmp_path, PLAIN)
    header = json.dumps({"w": entry}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(16)
    (tmp_path / "model.safetensors").write_bytes(content)

    with pytest.raises(ModelFormatError):
        inspect_model(tmp_path)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_noise_in_place_of_weights_never_ends_in_a_crash(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    folder = write_folder(tmp_path_factory.mktemp("noise"), PLAIN)
    (folder / "model.safetensors").write_bytes(noise)

    with pytest.raises(ModelFormatError):
        inspect_model(folder)
