"""What other programs keep on this machine is found under the names they give it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from apps.models.found.finds import Find
from apps.models.found.folders import find_in_folder
from apps.models.found.huggingface import find_cached, repo_id_at
from apps.models.found.lmstudio import find_lm_studio
from apps.models.found.ollama import find_ollama
from apps.models.found.scan import Places, found, named, origin_of
from apps.models.found.tests.stores import (
    COMMIT,
    gguf_file,
    hf_repository,
    lm_studio_folder,
    manifest,
    ollama_model,
)
from apps.models.models import LocalModel
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.tests.folders import write_folder

MODEL_LAYER = "application/vnd.ollama.image.model"


def names(finds: Any) -> list[str]:
    return [find.name for find in finds]


class TestHuggingFaceCache:
    def test_a_repository_is_found_by_its_name_at_the_commit_of_main(self, tmp_path: Path) -> None:
        hf_repository(tmp_path, "mlx-community/Qwen3-0.6B-4bit", model_type="qwen3")

        (find,) = find_cached(tmp_path)

        repository = tmp_path / "models--mlx-community--Qwen3-0.6B-4bit"
        assert find == Find(
            "Hugging Face cache",
            "mlx-community/Qwen3-0.6B-4bit",
            repository / "snapshots" / COMMIT,
            size_bytes=find.size_bytes,
            detail="qwen3, float32",
            repo_id="mlx-community/Qwen3-0.6B-4bit",
        )
        assert not find.is_gguf
        assert find.label == "Qwen3-0.6B-4bit"

    def test_without_a_ref_the_youngest_snapshot_counts(self, tmp_path: Path) -> None:
        old = hf_repository(tmp_path, "a/b")
        young = old.with_name("f" * 40)
        young.mkdir()
        for link in old.iterdir():
            (young / link.name).symlink_to(link.readlink())
        os.utime(old, (1, 1))
        (tmp_path / "models--a--b" / "refs" / "main").unlink()

        assert [find.path for find in find_cached(tmp_path)] == [young]

    @pytest.mark.parametrize(
        "ref", ["../../../elsewhere", "", "main", "0" * 41, "\x00", "é", "0" * 10_000]
    )
    def test_a_ref_that_is_no_commit_never_becomes_a_path(self, tmp_path: Path, ref: str) -> None:
        snapshot = hf_repository(tmp_path, "a/b")
        (tmp_path / "models--a--b" / "refs" / "main").write_text(ref)

        assert [find.path for find in find_cached(tmp_path)] == [snapshot]

    def test_gguf_files_of_a_repository_are_found_one_by_one(self, tmp_path: Path) -> None:
        snapshot = hf_repository(tmp_path, "a/b-GGUF")
        for file in snapshot.iterdir():
            file.unlink()
        gguf_file(snapshot / "b-Q4_0.gguf")
        gguf_file(snapshot / "b-mmproj-F16.gguf")
        gguf_file(snapshot / "b-Q8_0-00001-of-00002.gguf")
        gguf_file(snapshot / "b-Q8_0-00002-of-00002.gguf")

        whole, split = find_cached(tmp_path)

        assert (whole.name, whole.problem) == ("a/b-GGUF/b-Q4_0.gguf", "")
        assert "one of 2 parts" in split.problem

    def test_a_repository_without_weights_is_left_out(self, tmp_path: Path) -> None:
        (hf_repository(tmp_path, "a/b") / "model.safetensors").unlink()

        assert list(find_cached(tmp_path)) == []

    def test_a_half_downloaded_model_is_shown_with_its_reason(self, tmp_path: Path) -> None:
        snapshot = hf_repository(tmp_path, "a/b")
        blob = (snapshot / "model.safetensors").resolve()
        blob.write_bytes(blob.read_bytes()[:-4])

        (find,) = find_cached(tmp_path)

        assert "not a whole safetensors file" in find.problem

    def test_a_family_that_mlx_lm_does_not_know_is_shown_with_its_reason(
        self, tmp_path: Path
    ) -> None:
        hf_repository(tmp_path, "a/b", model_type="../../../../etc/passwd")

        (find,) = find_cached(tmp_path)

        assert "mlx-lm does not know the family" in find.problem

    @pytest.mark.parametrize(
        "name", ["models--", "models--a--b--../c", "datasets--a--b", "models--.."]
    )
    def test_folders_of_other_names_are_left_out(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name.replace("/", "")).mkdir()

        assert list(find_cached(tmp_path)) == []

    def test_a_path_in_the_cache_tells_its_repository(self, tmp_path: Path) -> None:
        snapshot = hf_repository(tmp_path, "owner/name.x-y")

        assert repo_id_at(snapshot, tmp_path) == "owner/name.x-y"
        assert repo_id_at(tmp_path, tmp_path) == ""
        assert repo_id_at(tmp_path.parent, tmp_path) == ""


class TestLMStudio:
    def test_gguf_files_and_mlx_folders_are_found(self, tmp_path: Path) -> None:
        lm_studio_folder(tmp_path, "mlx-community/Tiny-4bit")
        gguf_file(tmp_path / "lmstudio-community" / "Tiny-GGUF" / "Tiny-Q4_0.gguf")
        gguf_file(tmp_path / "lmstudio-community" / "Tiny-GGUF" / "mmproj-Tiny.gguf")

        assert names(find_lm_studio(tmp_path)) == [
            "lmstudio-community/Tiny-GGUF/Tiny-Q4_0",
            "mlx-community/Tiny-4bit",
        ]

    def test_links_to_other_folders_are_not_followed(self, tmp_path: Path) -> None:
        lm_studio_folder(tmp_path / "elsewhere", "a/b")
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "linked").symlink_to(tmp_path / "elsewhere" / "a")

        assert list(find_lm_studio(tmp_path / "models")) == []


class TestOllama:
    def test_a_model_is_found_by_the_name_that_ollama_prints(self, tmp_path: Path) -> None:
        blob = ollama_model(tmp_path)
        ollama_model(tmp_path, "registry.ollama.ai/someone/tiny/latest", seed=1)
        ollama_model(tmp_path, "hf.co/someone/tiny-GGUF/Q4_0", seed=2)

        finds = list(find_ollama(tmp_path))

        assert sorted(names(finds)) == [
            "hf.co/someone/tiny-GGUF:Q4_0", "someone/tiny:latest", "tiny:1b",
        ]  # fmt: skip
        (own,) = [find for find in finds if find.name == "tiny:1b"]
        assert (own.path, own.detail, own.problem) == (blob, "llama", "")

    @pytest.mark.parametrize(
        "layers",
        [
            None,
            [],
            "layers",
            [None, 1, "x"],
            [{"mediaType": MODEL_LAYER}],
            [{"mediaType": MODEL_LAYER, "digest": "sha256:../../../../etc/passwd"}],
            [{"mediaType": MODEL_LAYER, "digest": "sha256:" + "0" * 64 + "/../x"}],
            [{"mediaType": MODEL_LAYER, "digest": {"sha256": 1}}],
            [{"mediaType": [MODEL_LAYER], "digest": "sha256:" + "0" * 64}],
            [{"mediaType": MODEL_LAYER, "digest": "sha256:" + "0" * 64}] * 2,
        ],
    )
    def test_a_manifest_that_lists_no_model_is_shown_with_its_reason(
        self, tmp_path: Path, layers: Any
    ) -> None:
        manifest(tmp_path, "registry.ollama.ai/library/odd/latest", layers)

        (find,) = find_ollama(tmp_path)

        assert "does not list one model" in find.problem

    def test_a_blob_that_is_missing_or_a_link_is_not_taken(self, tmp_path: Path) -> None:
        digest = "0" * 64
        layers = [{"mediaType": MODEL_LAYER, "digest": f"sha256:{digest}"}]
        manifest(tmp_path, "registry.ollama.ai/library/odd/latest", layers)
        (missing,) = find_ollama(tmp_path)
        real = gguf_file(tmp_path / "elsewhere.gguf")
        (tmp_path / "blobs").mkdir()
        (tmp_path / "blobs" / f"sha256-{digest}").symlink_to(real)
        (linked,) = find_ollama(tmp_path)

        for find in (missing, linked):
            assert "not in Ollama's store" in find.problem

    def test_a_huge_manifest_is_not_read(self, tmp_path: Path) -> None:
        path = manifest(tmp_path, "registry.ollama.ai/library/odd/latest", [])
        with path.open("wb") as file:
            file.truncate(2**40)

        (find,) = find_ollama(tmp_path)

        assert "MB" in find.problem


class TestFolders:
    def test_a_gguf_file_and_a_model_folder_are_themselves(self, tmp_path: Path) -> None:
        file = gguf_file(tmp_path / "x.gguf")
        folder = write_folder(tmp_path / "m", {"a": ("F32", [1])})

        assert [find.path for find in find_in_folder(file)] == [file]
        assert [find.path for find in find_in_folder(folder)] == [folder]

    def test_models_in_a_folder_are_found_three_levels_deep(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "a" / "b" / "c", {"a": ("F32", [1])})
        write_folder(tmp_path / "1" / "2" / "3" / "4", {"a": ("F32", [1])})
        gguf_file(tmp_path / "a" / "x.gguf")

        assert sorted(names(find_in_folder(tmp_path))) == ["c", "x"]

    def test_a_folder_that_links_to_itself_ends(self, tmp_path: Path) -> None:
        (tmp_path / "again").symlink_to(tmp_path)

        assert find_in_folder(tmp_path) == []

    def test_a_configuration_without_weights_says_so(self, tmp_path: Path) -> None:
        write_folder(tmp_path, {"a": ("F32", [1])})
        (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")

        (find,) = find_in_folder(tmp_path)

        assert "no model*.safetensors" in find.problem

    def test_nothing_at_the_path_is_said_plainly(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFormatError, match="There is nothing at"):
            find_in_folder(tmp_path / "absent")

    @pytest.mark.parametrize("content", [b"", b"GGUF", b"#!/bin/sh", bytes(100)])
    def test_a_file_that_is_no_gguf_file_is_shown_with_its_reason(
        self, tmp_path: Path, content: bytes
    ) -> None:
        (tmp_path / "x.gguf").write_bytes(content)

        (find,) = find_in_folder(tmp_path)

        assert "not a GGUF file" in find.problem

    def test_a_family_that_gguf_import_does_not_know_is_shown_with_its_reason(
        self, tmp_path: Path
    ) -> None:
        gguf_file(tmp_path / "x.gguf", architecture="mamba")

        (find,) = find_in_folder(tmp_path)

        assert "does not know the family 'mamba'" in find.problem


@pytest.fixture
def where(tmp_path: Path) -> Places:
    return Places(tmp_path / "hf", (tmp_path / "lm", tmp_path / "old-lm"), tmp_path / "ollama")


def test_every_program_is_looked_at(where: Places) -> None:
    hf_repository(where.hf_cache, "a/hub-model")
    lm_studio_folder(where.lm_studio[1], "b/studio-model")
    ollama_model(where.ollama)

    assert names(found(where)) == ["a/hub-model", "b/studio-model", "tiny:1b"]


def test_programs_that_are_not_here_keep_nothing(where: Places) -> None:
    assert found(where) == []


def test_a_find_is_known_by_its_whole_name_or_the_end_of_it(where: Places) -> None:
    hf_repository(where.hf_cache, "a/twin")
    lm_studio_folder(where.lm_studio[0], "b/twin")

    assert names(named("a/twin", where)) == ["a/twin"]
    assert names(named("twin", where)) == ["a/twin", "b/twin"]
    assert named("absent", where) == []


def test_whose_a_path_is_goes_into_the_registry(where: Places, tmp_path: Path) -> None:
    sources = LocalModel.Source
    snapshot = hf_repository(where.hf_cache, "a/b")
    origin = origin_of(snapshot, where)
    assert (origin.source, origin.repo_id) == (sources.HF_CACHE, "a/b")
    assert origin_of(where.lm_studio[0] / "x", where).source == sources.LM_STUDIO
    assert origin_of(where.ollama / "blobs" / "x", where).source == sources.OLLAMA
    assert origin_of(tmp_path, where).source == sources.FOLDER
    assert origin_of(tmp_path / "x.gguf", where).source == sources.GGUF


class TestWhatMayNotBeRead:
    def test_a_folder_of_somebody_elses_hides_its_models_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lm_studio_folder(tmp_path, "mine/a")
        lm_studio_folder(tmp_path, "others/b")
        monkeypatch.setattr(os, "access", lambda path, mode: path.name != "others")

        assert names(find_lm_studio(tmp_path)) == ["mine/a"]

    def test_a_path_that_may_not_be_looked_at_holds_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denied(*args: object, **kwargs: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "stat", denied)

        with pytest.raises(ModelFormatError, match="that can be read"):
            find_in_folder(tmp_path)
