"""What a listing may bring into the models folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.discovery.snapshot import RemoteFile, needed

SHA1 = "0" * 40


@pytest.mark.parametrize(
    "name",
    [
        "../config.json",
        "/etc/config.json",
        "deep/config.json",
        ".hidden.json",
        "additional_chat_templates/../../x.jinja",
        "additional_chat_templates/x.json",
        "model.safetensors/../x.json",
        "bell\a.json",
        "pytorch_model.bin",
        "model.pt",
        "weights.pkl",
        "modeling.py",
        "model.gguf",
        "consolidated.safetensors",
        "",
    ],
)
def test_names_that_are_hostile_or_of_no_use_stay_out(name: str) -> None:
    assert needed([RemoteFile(name, 1, SHA1)]) == ()


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
        "chat_template.jinja",
        "additional_chat_templates/tool_use.jinja",
        "tokenizer.model",
        "merges.txt",
        "LICENSE.md",
    ],
)
def test_names_that_mlx_lm_reads_get_in(name: str) -> None:
    assert [file.name for file in needed([RemoteFile(name, 1, SHA1)])] == [name]


@pytest.mark.parametrize("checksum", ["", "../../etc/passwd", "z" * 40, "0" * 41, SHA1 + "\n"])
def test_a_checksum_that_is_none_keeps_its_file_out(checksum: str) -> None:
    assert needed([RemoteFile("config.json", 1, checksum)]) == ()


def test_the_configuration_comes_first_and_the_rest_by_size() -> None:
    files = [RemoteFile(f"{n}.json", n, SHA1) for n in (3, 1, 2)]
    files.append(RemoteFile("config.json", 9, SHA1))
    assert [file.size for file in needed(files)] == [9, 1, 2, 3]


def test_both_kinds_of_checksum_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"hello\n")
    git = RemoteFile("x", 6, "ce013625030ba8dba906f756967f9e9ca394464a")
    lfs = RemoteFile("x", 6, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
    assert git.is_content_of(path)
    assert lfs.is_content_of(path)
    path.write_bytes(b"jello\n")
    assert not git.is_content_of(path)
    assert not lfs.is_content_of(path)
