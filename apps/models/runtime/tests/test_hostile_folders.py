"""A model folder made to do harm is refused with one line, in bounded time and memory."""

from __future__ import annotations

import json
import os
import resource
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.headers import MAX_HEADER_BYTES, parse_header
from apps.models.runtime.inspect import inspect_model
from apps.models.runtime.tests.folders import write_folder

TENSOR = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "model", {"a.weight": ("F32", [4])}, tokenizer_config={})


def weights(folder: Path, header: Any, data: int = 16, length: int | None = None) -> None:
    """Write the weight file with this header; ``length`` is what it claims to be long."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = struct.pack("<Q", len(encoded) if length is None else length)
    (folder / "model.safetensors").write_bytes(size + encoded + bytes(data))


def refusal(folder: Path) -> str:
    """The one line that the folder is refused with."""
    with pytest.raises(ModelFormatError) as refused:
        inspect_model(folder)
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


@pytest.fixture
def little_memory() -> Iterator[None]:
    """256 MB more than are in use now: what asks for more fails."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 256 * 1024**2, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def test_a_sound_folder_is_taken(folder: Path) -> None:
    assert inspect_model(folder).parameters == 4


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (b"", "length"),
        (b"[]", "malformed"),
        (b"{", "whole safetensors"),
        (b"\xff\xfe\x00\x00", "whole safetensors"),
        ({"a": []}, "malformed"),
        ({"a": {"dtype": "F32", "shape": [4]}}, "malformed"),
        ({"a": TENSOR | {"dtype": "F31"}}, "malformed"),
        ({"a": TENSOR | {"dtype": ["F32"]}}, "malformed"),
        ({"a": TENSOR | {"shape": "four"}}, "impossible"),
        ({"a": TENSOR | {"shape": [4.0]}}, "impossible"),
        ({"a": TENSOR | {"shape": [True]}}, "impossible"),
        ({"a": TENSOR | {"shape": [-4]}}, "impossible"),
        ({"a": TENSOR | {"shape": [2**63]}}, "impossible"),
        ({"a": TENSOR | {"shape": [2] * 4000}}, "impossible"),
        ({"a": TENSOR | {"shape": [2**31, 2**31, 2**31]}}, "does not fit"),
        ({"a": TENSOR | {"shape": [5]}}, "does not fit"),
        ({"a": TENSOR | {"data_offsets": [0, 2**60], "shape": [2**58]}}, "does not fit"),
        ({"a": TENSOR | {"data_offsets": [16, 32]}}, "does not fit"),
        ({"a": TENSOR | {"data_offsets": [16, 0]}}, "does not fit"),
        ({"a": TENSOR | {"data_offsets": [-16, 0]}}, "impossible"),
        ({"a": TENSOR | {"data_offsets": [0, 8, 16]}}, "whole safetensors"),
        ({"a": TENSOR, "b": TENSOR}, "overlaps"),
        ({f"t{i}": TENSOR for i in range(1000)}, "overlaps"),
        (b'{"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,16]}}', "impossible"),
        (b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,16]}}', "whole"),
        (b"[" * 100_000, "malformed"),
    ],
)
def test_a_weight_header_that_lies_is_refused(folder: Path, header: Any, complaint: str) -> None:
    weights(folder, header)

    assert complaint in refusal(folder)


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**60, 2**64 - 1])
def test_a_header_length_that_lies_is_refused(folder: Path, length: int) -> None:
    weights(folder, {"a": TENSOR}, length=length)

    assert "length does not fit the file" in refusal(folder)


@pytest.mark.usefixtures("little_memory")
def test_a_huge_weight_header_is_refused_without_being_read(folder: Path) -> None:
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", MAX_HEADER_BYTES + 1))
        file.truncate(2**40)  # sparse: it claims a terabyte and takes a block

    assert "length does not fit the file" in refusal(folder)


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "chat_template.jinja", "chat_template.json"]
)
def test_a_text_file_of_a_hundred_megabytes_is_refused_unread(folder: Path, name: str) -> None:
    with (folder / name).open("wb") as file:
        file.truncate(100_000_000)

    assert f"{name} has 100 MB" in refusal(folder)


@pytest.mark.usefixtures("little_memory")
def test_a_model_card_of_a_terabyte_is_read_no_further_than_its_head(folder: Path) -> None:
    with (folder / "README.md").open("wb") as file:
        file.write(b"---\nlicense: mit\n---\n")
        file.truncate(2**40)

    assert inspect_model(folder).license == "mit"


@pytest.mark.parametrize("content", [b"", b"\x00", b"[]", b'"text"', b"[" * 100_000, b"\xff"])
def test_a_config_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)

    assert "config.json" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_of_no_bytes_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")

    assert name in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "chat_template.jinja"])
def test_a_pipe_is_refused_and_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)

    assert f"{name} is not a file" in refusal(folder)


def test_a_pipe_in_the_weights_place_is_no_weight_file(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")

    assert "holds no model*.safetensors" in refusal(folder)


class TestLinks:
    """Links that leave a folder would let it name files that are nobody else's business."""

    @pytest.mark.parametrize(
        "name", ["config.json", "model.safetensors", "tokenizer.json", "README.md", "notes.txt"]
    )
    def test_one_that_leads_out_of_the_folder_is_refused(
        self, folder: Path, tmp_path: Path, name: str
    ) -> None:
        (tmp_path / "secret").write_text("{}")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to("../secret")

        assert repr(name) in refusal(folder)

    def test_a_linked_subfolder_that_leads_out_is_refused(
        self, folder: Path, tmp_path: Path
    ) -> None:
        (folder / "additional_chat_templates").symlink_to(tmp_path)

        assert "additional_chat_templates" in refusal(folder)

    def test_one_in_a_subfolder_is_refused(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("{}")
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").symlink_to(tmp_path / "secret")

        assert "config.json" in refusal(folder)

    def test_one_that_leads_to_itself_is_refused(self, folder: Path) -> None:
        (folder / "tokenizer.json").symlink_to("tokenizer.json")

        assert "tokenizer.json" in refusal(folder)

    def test_one_inside_the_folder_is_followed(self, folder: Path) -> None:
        (folder / "config.json").rename(folder / "real.json")
        (folder / "config.json").symlink_to("real.json")

        assert inspect_model(folder).architecture == "llama"

    def test_a_folder_that_is_itself_reached_by_a_link_is_taken(
        self, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "short").symlink_to(folder)

        assert inspect_model(tmp_path / "short").architecture == "llama"

    def test_those_of_hugging_faces_cache_lead_to_its_blobs(
        self, folder: Path, tmp_path: Path
    ) -> None:
        snapshot = cached(folder, tmp_path)

        assert inspect_model(snapshot).parameters == 4

    def test_those_of_the_cache_may_not_leave_their_repository(
        self, folder: Path, tmp_path: Path
    ) -> None:
        snapshot = cached(folder, tmp_path)
        (tmp_path / "secret").write_text("{}")
        (snapshot / "tokenizer.json").symlink_to(tmp_path / "secret")

        assert "tokenizer.json" in refusal(snapshot)


def cached(folder: Path, root: Path) -> Path:
    """The folder's files as Hugging Face's cache keeps them; the snapshot."""
    repository = root / "models--tiny--model"
    snapshot = repository / "snapshots" / ("0" * 40)
    (repository / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in folder.iterdir():
        file.rename(repository / "blobs" / f"blob-{file.name}")
        (snapshot / file.name).symlink_to(f"../../blobs/blob-{file.name}")
    return snapshot


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["a", "dtype", "shape", "data_offsets", "__metadata__"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values, st.integers(0, 64))
def test_no_header_ends_in_anything_but_tensors_or_a_value_error(header: Any, data: int) -> None:
    encoded = json.dumps(header).encode()
    content = struct.pack("<Q", len(encoded)) + encoded + bytes(data)
    try:
        tensors = parse_header(BytesIO(content), len(content))
    except ValueError:
        return
    assert sum(tensor.nbytes for tensor in tensors.values()) <= data
