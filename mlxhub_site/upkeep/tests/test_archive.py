"""Archives that somebody else made, to do harm."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mlxhub_site.upkeep import archive as format
from mlxhub_site.upkeep.errors import BadArchive

ROOM = 10**9


def compressed(path: Path, plain: bytes) -> Path:
    path.write_bytes(zstandard.ZstdCompressor().compress(plain))
    return path


def tarred(*members: tuple[tarfile.TarInfo, bytes], style: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=style) as tar:
        for header, content in members:
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return out.getvalue()


def file(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, link
    return header


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "../hub.sqlite3", "/etc/passwd", "datasets/../../x", "datasets/./x", "datasets//x",
        "datasets", "hub.sqlite3/x", "run/engine.sock", "logs/web.log", "datasets\\..\\x",
        "datasets/a\nb", "models/" + "x" * 200 + "/../../y",
    ],
)  # fmt: skip
def test_a_name_outside_the_data_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = compressed(tmp_path / "a", tarred((file(name), b"x")))
    with pytest.raises(BadArchive, match="is no file of a data folder"):
        format.verify(path, room=ROOM)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE,
     tarfile.GNUTYPE_SPARSE],
)  # fmt: skip
def test_only_regular_files_are_taken(tmp_path: Path, kind: bytes) -> None:
    header = file("datasets/x", kind, "/etc/passwd")
    path = compressed(tmp_path / "a", tarred((header, b"")))
    with pytest.raises(BadArchive, match="no regular file"):
        format.verify(path, room=ROOM)


def test_extended_headers_are_refused(tmp_path: Path) -> None:
    """They may be of any size, and change what the next header says."""
    header = file("datasets/x")
    header.pax_headers = {"comment": "x" * 1000}
    path = compressed(tmp_path / "a", tarred((header, b"x"), style=tarfile.PAX_FORMAT))
    with pytest.raises(BadArchive, match="no regular file"):
        format.verify(path, room=ROOM)


def test_a_name_of_any_length_is_not_read_into_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**40
    path = compressed(tmp_path / "a", header.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(BadArchive, match="too long"):
        format.verify(path, room=ROOM)


def test_a_bomb_is_refused_by_the_size_that_it_tells(tmp_path: Path) -> None:
    header = file("datasets/x")
    header.size = 10**15
    path = compressed(tmp_path / "a", header.tobuf(tarfile.GNU_FORMAT) + bytes(10**6))
    with pytest.raises(BadArchive, match="larger than the free disk space"):
        format.verify(path, room=ROOM)


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    twice = ((file("datasets/x"), b"1"), (file("datasets/x"), b"2"))
    with pytest.raises(BadArchive, match="twice"):
        format.verify(compressed(tmp_path / "a", tarred(*twice)), room=ROOM)


@pytest.mark.parametrize("manifest", [b"{}", b"no JSON", b"[1]", b'{"format": 2}'])
def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, manifest: bytes) -> None:
    path = compressed(tmp_path / "a", tarred((file("manifest.json"), manifest)))
    with pytest.raises(BadArchive, match="Its manifest"):
        format.verify(path, room=ROOM)


@given(data=st.binary(max_size=2000))
def test_bytes_that_are_no_archive_are_refused(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "raw").write_bytes(data)
    for path in (folder / "raw", compressed(folder / "tar", data)):
        with pytest.raises(BadArchive):
            format.verify(path, room=ROOM)
