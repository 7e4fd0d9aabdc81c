"""A file that is not what it claims ends in one clear error and leaves nothing behind."""

from __future__ import annotations

import os
import struct
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.importer import import_gguf
from apps.models.runtime.gguf.peek import peek
from apps.models.runtime.gguf.reader import read_gguf
from apps.models.runtime.tests.tiny import write_gguf

with tempfile.TemporaryDirectory() as _folder:
    write_gguf(Path(_folder) / "tiny.gguf")
    WHOLE = (Path(_folder) / "tiny.gguf").read_bytes()
    HEADER = min(
        tensor.offset for tensor in read_gguf(Path(_folder) / "tiny.gguf").tensors.values()
    )

HEAD = b"GGUF" + struct.pack("<I", 3)


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def tensor(name: str, dims: list[int], kind: int = 0, offset: int = 0) -> bytes:
    entry = string(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
    return entry + struct.pack("<IQ", kind, offset)


def outcome(content: bytes) -> str:
    """Import ``content``: "imported", or the error's message. Anything else is a failure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bad.gguf").write_bytes(content)
        try:
            import_gguf(folder / "bad.gguf", folder / "model")
        except ModelFormatError as error:
            assert [path.name for path in folder.iterdir()] == ["bad.gguf"]
            return str(error)
        assert {path.name for path in folder.iterdir()} == {"bad.gguf", "model"}
        return "imported"


def test_the_whole_file_imports() -> None:
    assert outcome(WHOLE) == "imported"


@given(st.integers(0, len(WHOLE) - 1))
@settings(max_examples=60, deadline=None)
def test_a_truncated_file_is_refused(length: int) -> None:
    assert "bad.gguf" in outcome(WHOLE[:length])


@given(st.integers(0, HEADER - 1), st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_a_changed_byte_in_the_header_never_ends_in_a_crash(position: int, value: int) -> None:
    changed = bytearray(WHOLE)
    changed[position] = value

    outcome(bytes(changed))


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_random_bytes_after_the_magic_never_end_in_a_crash(noise: bytes) -> None:
    assert outcome(HEAD + noise) != "imported"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "does not begin as one"),
        (b"PK\x03\x04" + bytes(100), "does not begin as one"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(100), "version 1"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(100), "big-endian"),
        (HEAD + struct.pack("<QQ", 2**63, 0), "tensors"),
        (HEAD + struct.pack("<QQ", 0, 2**63), "metadata entries"),
        (HEAD + struct.pack("<QQQ", 0, 1, 2**62) + bytes(8), "bytes long"),
        (
            HEAD + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IQ", 8, 2**40),
            "bytes long",
        ),
        (HEAD + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<I", 77), "unknown type 77"),
        (
            HEAD + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IIQ", 9, 8, 2**60),
            "more than any model's header has",
        ),
        (
            HEAD + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IIQ", 9, 10, 2**20),
            "ends in the middle",
        ),
        (
            HEAD + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IIQ", 9, 9, 1) * 3,
            "array of the unsupported type 9",
        ),
        (
            HEAD + struct.pack("<QQ", 0, 2) + (string("k") + struct.pack("<IB", 0, 1)) * 2,
            "twice",
        ),
        (
            HEAD
            + struct.pack("<QQ", 0, 1)
            + string("general.alignment")
            + struct.pack("<II", 4, 3),
            "alignment",
        ),
        (HEAD + struct.pack("<QQ", 1, 0) + tensor("t", [2**40, 2**40]), "cut short"),
        (HEAD + struct.pack("<QQ", 1, 0) + tensor("t", [4], offset=2**63), "cut short"),
        (HEAD + struct.pack("<QQ", 1, 0) + tensor("t", [4], kind=999), "unknown type 999"),
        (HEAD + struct.pack("<QQ", 1, 0) + tensor("t", [0]), "impossible shape"),
        (HEAD + struct.pack("<QQ", 1, 0) + tensor("t", [31], kind=2), "impossible shape"),
        (HEAD + struct.pack("<QQ", 1, 0) + tensor("t", [1] * 9), "9 dimensions"),
        (HEAD + struct.pack("<QQ", 2, 0) + tensor("t", [1]) * 2 + bytes(64), "twice"),
        (
            HEAD + struct.pack("<QQ", 2, 0) + tensor("a", [8]) + tensor("b", [8]) + bytes(96),
            "overlaps",
        ),
    ],
)
def test_a_hostile_header_is_refused_with_its_reason(content: bytes, complaint: str) -> None:
    assert complaint in outcome(content)


@pytest.mark.parametrize(
    "claims",
    [
        struct.pack("<QQ", 2**60, 0),
        struct.pack("<QQ", 0, 2**60),
        struct.pack("<QQ", 0, 1) + struct.pack("<Q", 2**60),
        struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IQ", 8, 2**60),
        struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IIQ", 9, 0, 200_000_000),
        struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IIQ", 9, 8, 30_000_000),
        struct.pack("<QQ", 1, 0) + tensor("t", [2**60, 2**60]),
    ],
    ids=["tensors", "entries", "key", "string", "bytes", "strings", "weights"],
)
def test_a_file_that_claims_more_than_memory_holds_takes_none(
    tmp_path: Path, claims: bytes
) -> None:
    path = tmp_path / "bad.gguf"
    with path.open("wb") as file:
        file.write(HEAD + claims)
        file.truncate(2**40)  # sparse: there are bytes enough for all of it
    tracemalloc.start()
    try:
        for read in (read_gguf, peek):
            with pytest.raises(ModelFormatError) as refused:
                read(path)
            assert "\n" not in str(refused.value)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_000_000


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")

    for read in (read_gguf, peek):
        with pytest.raises(ModelFormatError, match="not a file"):
            read(tmp_path / "pipe.gguf")


@given(st.binary(max_size=400))
def test_a_peek_at_noise_ends_in_an_answer_or_one_error(noise: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "noise.gguf"
        path.write_bytes(HEAD + noise)
        with pytest.raises(ModelFormatError):
            peek(path)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(WHOLE)
    header = read_gguf(tmp_path / "tiny.gguf")
    changed = bytearray(WHOLE)
    start = header.tensors["blk.0.ffn_up.weight"].offset
    changed[start : start + 2] = b"\x00\x7c"  # a scale of infinity

    assert "not finite" in outcome(bytes(changed))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for source in (tmp_path / "absent.gguf", tmp_path):
        with pytest.raises(ModelFormatError):
            import_gguf(source, tmp_path / "model")
