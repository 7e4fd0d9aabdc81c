"""Readers: every format that is promised, and every way to attack them."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import resource
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.datasets.formats.errors import Damaged, FormatError, Refused, Unsupported
from apps.datasets.formats.limits import MAX_ROW_BYTES
from apps.datasets.formats.reading.delimited import read_delimited
from apps.datasets.formats.reading.documents import read_document
from apps.datasets.formats.reading.json_files import read_json_file
from apps.datasets.formats.reading.json_lines import read_json_lines
from apps.datasets.formats.reading.lines import lines_of
from apps.datasets.formats.reading.records import Fault, Record, Unreadable
from apps.datasets.formats.reading.source import read_source, suffix_of
from apps.datasets.formats.reading.streams import chunks_of, utf8_chunks

ROWS = [{"text": f"Row {i}, wörtlich 日本 😀.", "n": i} for i in range(50)]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4), max_size=6)


def values(path: Path) -> list[dict[str, Any]]:
    reads = list(read_source(path))
    assert all(isinstance(read, Record) for read in reads), reads
    return [read.value for read in reads if isinstance(read, Record)]


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(st.binary(max_size=200), SIZES)
def test_lines_are_those_of_the_whole_however_it_is_cut(data: bytes, sizes: list[int]) -> None:
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert list(lines_of(cut(data, sizes))) == expected


@given(st.lists(st.integers(0, 30), max_size=10), SIZES)
def test_lines_that_are_too_long_are_told_and_no_other(
    lengths: list[int], sizes: list[int]
) -> None:
    data = b"".join(b"x" * length + b"\n" for length in lengths)
    found = list(lines_of(cut(data, sizes), limit=10))
    assert found == [b"x" * length if length <= 10 else None for length in lengths]


@given(RECORDS, SIZES, st.sampled_from([None, 1]))
def test_a_json_array_is_read_however_it_is_cut(
    records: list[dict[str, Any]], sizes: list[int], indent: int | None
) -> None:
    data = json.dumps(records, ensure_ascii=False, indent=indent).encode("utf-8", "replace")
    expected = json.loads(data)
    found = list(read_json_file(cut(data, sizes)))
    assert [read.value for read in found if isinstance(read, Record)] == expected


@given(RECORDS, SIZES)
def test_json_lines_are_read_however_they_are_cut(
    records: list[dict[str, Any]], sizes: list[int]
) -> None:
    data = "".join(json.dumps(record) + "\r\n" for record in records).encode()
    found = list(read_json_lines(cut(data, sizes)))
    texts = json.dumps(records)
    if "\\ud" not in texts:
        assert [read.value for read in found if isinstance(read, Record)] == records
    assert len(found) == len(records)


@given(st.binary(max_size=300), SIZES)
def test_bytes_of_any_kind_are_records_or_faults_and_never_a_crash(
    data: bytes, sizes: list[int]
) -> None:
    for reader in (read_json_lines, read_json_file, read_delimited, read_document):
        try:
            for read in reader(cut(data, sizes)):
                assert isinstance(read, Record | Unreadable)
        except FormatError:
            pass


CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\ufffd", exclude_categories=("Cs",)),
    max_size=12,
)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=6))
def test_a_table_comes_back_as_it_was_written(rows: list[tuple[str, str]]) -> None:
    import csv

    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b"), *rows])
    found = list(read_delimited([text.getvalue().encode()]))
    assert [read.value for read in found if isinstance(read, Record)] == [
        {"a": a, "b": b} for a, b in rows
    ]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rows.jsonl", JSONL),
        ("rows.ndjson", JSONL),
        ("rows.jsonl.gz", gzip.compress(JSONL)),
        ("two.jsonl.gz", gzip.compress(JSONL[:500]) + gzip.compress(JSONL[500:])),
        ("rows.jsonl.zst", zstandard.compress(JSONL)),
        ("lines.json", JSONL),
        ("rows.json", json.dumps(ROWS).encode()),
        ("pretty.json", json.dumps(ROWS, indent=2).encode()),
        ("object.json", json.dumps({"version": 1, "data": ROWS}).encode()),
        ("bom.jsonl", codecs.BOM_UTF8 + JSONL),
        ("utf16.jsonl", JSONL.decode().encode("utf-16")),
    ],
)
def test_json_of_every_shape_and_packing_gives_the_same_rows(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    assert values(tmp_path / name) == ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_table_is_found(tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "t.csv").write_text(f"a{delimiter}b\n1{delimiter}2\n")
    assert values(tmp_path / "t.csv") == [{"a": "1", "b": "2"}]


def test_a_table_in_a_legacy_encoding_is_read(tmp_path: Path) -> None:
    text = "frage,antwort\n" + "Schöne Grüße aus Köln?,Über die Brücke täglich.\n" * 20
    (tmp_path / "t.csv").write_bytes(text.encode("cp1252"))
    assert values(tmp_path / "t.csv")[0]["frage"] == "Schöne Grüße aus Köln?"


def test_columns_without_a_name_or_with_one_twice_get_one(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,,a\n1,2,3\n")
    assert list(values(tmp_path / "t.csv")[0].values()) == ["1", "2", "3"]


def test_parquet_keeps_nested_columns(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "Hi"}], "n": 1}, {"messages": [], "n": None}]
    pl.DataFrame(rows).write_parquet(tmp_path / "rows.parquet")
    assert values(tmp_path / "rows.parquet") == rows


def test_a_folder_and_a_zip_of_the_same_files_give_the_same_rows(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "inner").mkdir(parents=True)
    (folder / "a.jsonl").write_bytes(JSONL)
    (folder / "inner" / "b.md").write_text("# Title\n\nText.")
    pl.DataFrame({"x": [1]}).write_parquet(folder / "c.parquet")
    (folder / "notes.pdf").write_bytes(b"no")
    with zipfile.ZipFile(tmp_path / "files.zip", "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
    expected = [*ROWS, {"x": 1}, {"text": "# Title\n\nText.", "file": "inner/b.md"}]
    assert values(folder) == expected
    assert values(tmp_path / "files.zip") == expected


def test_a_long_text_is_cut_at_blank_lines(tmp_path: Path) -> None:
    paragraph = "A sentence that says something. " * 100
    (tmp_path / "book.txt").write_text("\n\n".join([paragraph] * 10))
    pieces = values(tmp_path / "book.txt")
    assert len(pieces) > 1
    assert "".join(piece["text"] for piece in pieces).count("sentence") == 1000


@pytest.mark.parametrize("name", ["rows.jsonl", "a.JSON.GZ", "t.tsv.zst", "x.parquet", "y.zip"])
def test_names_of_what_is_read(name: str) -> None:
    assert suffix_of(name)


@pytest.mark.parametrize("name", ["model.gguf", "x.parquet.gz", "y.tar.gz", "jsonl", ".gz", ""])
def test_names_of_what_is_not_read(name: str) -> None:
    assert suffix_of(name) == ""


# What attacks, or is damaged


@pytest.fixture(autouse=True)
def bounded_memory() -> Any:
    """No test of this module may take more than 500 MB on top of what there was."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def only_fault(reads: list[Any]) -> Unreadable:
    faults = [read for read in reads if isinstance(read, Unreadable)]
    assert len(faults) == 1, reads
    return faults[0]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".txt"])
def test_a_line_of_300_mb_is_a_fault(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"huge{suffix}"
    start = {".jsonl": b'{"a": "', ".json": b'[{"a": "', ".csv": b"a,b\n", ".txt": b""}[suffix]
    with path.open("wb") as file:
        file.write(start)
        for _ in range(300):
            file.write(b"x" * 1_000_000)
    fault = only_fault(list(read_source(path)))
    assert fault.fault in (Fault.TOO_LONG, Fault.SYNTAX)


@pytest.mark.parametrize("open_", [gzip.open, zstandard.open], ids=["gzip", "zstd"])
def test_a_decompression_bomb_is_refused(tmp_path: Path, open_: Any) -> None:
    with open_(tmp_path / "bomb.jsonl.gz", "wb") as file:
        for _ in range(300):
            file.write(b"x" * 1_000_000)
    with pytest.raises(Refused, match="decompression bombs"):
        list(read_source(tmp_path / "bomb.jsonl.gz"))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("rows.jsonl", "w") as file,
    ):
        for _ in range(300):
            file.write(b"x" * 1_000_000)
    with pytest.raises(Refused, match="decompression bombs"):
        list(read_source(tmp_path / "bomb.zip"))


def test_a_path_that_leads_out_of_a_zip_is_left_out_and_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../../evil.jsonl", b'{"a": 1}\n')
        archive.writestr("/etc/evil.jsonl", b'{"a": 2}\n')
        archive.writestr("good.jsonl", b'{"a": 3}\n')
    reads = list(read_source(tmp_path / "evil.zip"))
    assert [read.value for read in reads if isinstance(read, Record)] == [{"a": 3}]
    assert sum(isinstance(read, Unreadable) for read in reads) == 2
    assert not (tmp_path.parent / "evil.jsonl").exists()


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text('{"key": "secret"}\n')
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    with pytest.raises(Unsupported):
        list(read_source(folder))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b'{"a": "\xff\xfe"}\n', Fault.ENCODING),
        (b'{"a": "\0"}\n', Fault.NUL),
        (b'{"a": 1\n', Fault.SYNTAX),
        (b'{"a": NaN}\n', Fault.SYNTAX),
        (b"[1, 2]\n", Fault.NOT_AN_OBJECT),
        (b"[" * 100_000 + b"\n", Fault.SYNTAX),
    ],
)
def test_a_bad_line_is_told_and_its_neighbours_are_read(
    tmp_path: Path, data: bytes, fault: Fault
) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b'{"a": 1}\n' + data + b'{"a": 2}\n')
    reads = list(read_source(tmp_path / "rows.jsonl"))
    found = only_fault(reads)
    assert (found.fault, found.line) == (fault, 2)
    assert [read.value for read in reads if isinstance(read, Record)] == [{"a": 1}, {"a": 2}]


def test_a_million_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text(",".join(f"c{i}" for i in range(1_000_000)) + "\n1\n")
    with pytest.raises(Refused, match="1,000,000 columns"):
        list(read_source(tmp_path / "wide.csv"))
    wide = json.dumps({f"c{i}": 1 for i in range(50_000)})
    (tmp_path / "wide.jsonl").write_text(wide + "\n")
    fault = only_fault(list(read_source(tmp_path / "wide.jsonl")))
    assert fault.fault == Fault.TOO_MANY_COLUMNS


def test_a_nul_or_too_many_fields_cost_one_row_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n\0,x\n1,2,3\n3,4\n")
    reads = list(read_source(tmp_path / "t.csv"))
    assert [read.value["a"] for read in reads if isinstance(read, Record)] == ["1", "3"]
    faults = [(read.line, read.fault) for read in reads if isinstance(read, Unreadable)]
    assert faults == [(3, Fault.NUL), (4, Fault.FIELDS)]


@pytest.mark.parametrize("lie", ["long", "cut", "noise"])
def test_a_parquet_file_that_lies_is_damaged(tmp_path: Path, lie: str) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"a": ["x"] * 100}).write_parquet(path)
    data = path.read_bytes()
    noise = bytes(byte ^ 0x55 for byte in data[-60:-8])
    path.write_bytes(
        {
            "long": data[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
            "cut": data[: len(data) // 2],
            "noise": data[:-60] + noise + data[-8:],
        }[lie]
    )
    with pytest.raises(Damaged):
        list(read_source(path))


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_packed_file_that_is_cut_off_is_damaged(tmp_path: Path, pack: Any) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(pack(JSONL)[:-20])
    with pytest.raises(Damaged, match="opy it again"):
        list(read_source(tmp_path / "rows.jsonl.gz"))


def test_a_damaged_zip_and_a_missing_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(Damaged):
        list(read_source(tmp_path / "bad.zip"))
    with pytest.raises(Unsupported, match="There is no file"):
        list(read_source(tmp_path / "none.jsonl"))


@given(st.text(st.characters(codec="utf-8"), max_size=300), SIZES)
def test_text_in_utf16_is_the_same_text(text: str, sizes: list[int]) -> None:
    # A mark with a NUL behind it is UTF-32's mark.
    assume(not text.startswith("\0"))
    data = text.encode("utf-16-le")
    head, rest = codecs.BOM_UTF16_LE + data[:2], data[2:]
    chunks = [head, *cut(rest, sizes)]
    assert b"".join(utf8_chunks(chunks, legacy=True)).decode() == text


def test_chunks_of_a_plain_file_are_its_bytes() -> None:
    data = bytes(range(256)) * 5000
    assert b"".join(chunks_of(io.BytesIO(b"x" + data), "x.bin")) == b"x" + data
    assert MAX_ROW_BYTES > 0
