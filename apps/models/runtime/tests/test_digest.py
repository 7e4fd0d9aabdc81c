from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.models.runtime.digest import digest_files, digest_of
from apps.models.runtime.errors import ModelFormatError

FILES = {
    "config.json": b'{"model_type": "llama"}',
    "generation_config.json": b"{}",
    "model-00001-of-00002.safetensors": b"first weights",
    "model-00002-of-00002.safetensors": b"second weights",
    "tokenizer.json": b'{"model": {}}',
    "tokenizer.model": b"pieces",
    "chat_template.jinja": b"{{ messages }}",
    "additional_chat_templates/tools.jinja": b"{{ tools }}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "model", FILES)


def digest_model(folder: Path) -> str:
    return digest_of(digest_files(folder))


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_digest_names_its_algorithm(folder: Path) -> None:
    algorithm, _, digits = digest_model(folder).partition(":")

    assert algorithm == "sha256"
    assert len(digits) == 64


@given(st.sampled_from(sorted(FILES)), st.data())
def test_any_changed_byte_changes_it(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    folder = written(tmp_path_factory.mktemp("digest"), FILES)
    before = digest_model(folder)
    content = bytearray(FILES[name])
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(content)

    assert digest_model(folder) != before


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_or_renamed_changes_it(folder: Path, name: str) -> None:
    before = digest_model(folder)
    renamed = folder / name.replace(".", "-x.", 1)
    (folder / name).rename(renamed)
    moved = digest_model(folder)
    renamed.unlink()

    assert len({before, moved, digest_model(folder)}) == 3


def test_bytes_that_move_from_one_file_to_the_next_change_it(tmp_path: Path) -> None:
    one = written(tmp_path / "one", {"a.safetensors": b"ab", "b.safetensors": b"c"})
    two = written(tmp_path / "two", {"a.safetensors": b"a", "b.safetensors": b"bc"})

    assert digest_model(one) != digest_model(two)


def test_neither_place_nor_order_nor_links_matter(folder: Path, tmp_path: Path) -> None:
    before = digest_model(folder)
    linked = tmp_path / "snapshot"
    (linked / "additional_chat_templates").mkdir(parents=True)
    for name in sorted(FILES, reverse=True):
        (linked / name).symlink_to(folder / name)
    copied = Path(shutil.copytree(folder, tmp_path / "elsewhere" / "renamed"))

    assert digest_model(linked) == before
    assert digest_model(copied) == before


def test_what_does_not_decide_the_output_does_not_count(folder: Path) -> None:
    before = digest_model(folder)
    written(folder, {"README.md": b"hello", ".gitattributes": b"x", ".cache/a.json": b"{}"})

    assert digest_model(folder) == before


def test_progress_ends_at_the_whole(folder: Path) -> None:
    heard: list[float] = []

    digest_files(folder, heard.append)

    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_a_folder_without_a_model_has_no_digest(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ModelFormatError):
            digest_model(path)
