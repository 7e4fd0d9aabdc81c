"""Sources that attack: each is refused or told, in bounded memory, and costs nothing that was there."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from apps.datasets import services
from apps.datasets.exporting import export
from apps.datasets.formats.limits import MAX_PARQUET_MEMORY
from apps.datasets.models import Dataset
from apps.datasets.tests.conftest import Import, carried_out
from apps.jobs.models import JobState

MEGABYTE = 1_000_000
MEMORY = 400 * MEGABYTE
"""Resident, of a process that reads all of them; some 150 MB are the libraries."""

READ_ALL = """
import sys, threading, time
from pathlib import Path
import psutil
from apps.datasets.formats.errors import FormatError
from apps.datasets.formats.reading.source import read_source

peaks = [0, 0]
over = threading.Event()

def watch():
    # The system's own peak has that of the process that started this one.
    me = psutil.Process()
    while not over.wait(0.005):
        peaks[0] = max(peaks[0], me.memory_info().rss)
        for child in me.children():
            try:
                peaks[1] = max(peaks[1], child.memory_info().rss)
            except psutil.Error:
                pass

watcher = threading.Thread(target=watch)
watcher.start()
for path in sys.argv[1:]:
    try:
        for _ in read_source(Path(path)):
            pass
    except FormatError:
        pass
over.set()
watcher.join()
print(*peaks)
"""
READ_WITH_LITTLE = """
import sys
from apps.datasets.formats.reading import parquet
parquet.MAX_PARQUET_MEMORY = 150_000_000
parquet._write_rows(sys.argv[1])
"""


def zip_bomb(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("rows.jsonl", "w") as file,
    ):
        for _ in range(300):
            file.write(b"x" * MEGABYTE)


def climbing_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../../evil.jsonl", b'{"text": "evil"}\n')
        archive.writestr("..\\evil.jsonl", b'{"text": "evil"}\n')
        archive.writestr("C:\\evil.jsonl", b'{"text": "evil"}\n')


def endless_line(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b'{"text": "')
        for _ in range(300):
            file.write(b"x" * MEGABYTE)


def broken_utf8(path: Path) -> None:
    path.write_bytes(b'{"text": "\xc3\x28 \xff"}\n' * 3)


def nul_byte(path: Path) -> None:
    path.write_bytes(b'{"text": "a\0b"}\n')


def million_columns(path: Path) -> None:
    path.write_text(",".join(f"c{number}" for number in range(1_000_000)) + "\n1\n")


def lying_footer(path: Path) -> None:
    pl.DataFrame({"text": ["x"] * 100}).write_parquet(path)
    data = path.read_bytes()
    path.write_bytes(data[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1")


def noisy_footer(path: Path) -> None:
    pl.DataFrame({"text": ["x"] * 100}).write_parquet(path)
    data = path.read_bytes()
    noise = bytes(byte ^ 0x55 for byte in data[-60:-8])
    path.write_bytes(data[:-60] + noise + data[-8:])


def parquet_bomb(path: Path) -> None:
    pl.DataFrame({"text": ["x" * 1_000] * 300_000}).write_parquet(path)


def wide_parquet(path: Path) -> None:
    pl.DataFrame({f"c{number}": [1] for number in range(3_000)}).write_parquet(path)


ATTACKS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a ZIP bomb": ("bomb.zip", zip_bomb, "decompression bombs"),
    "a ZIP whose paths lead out": ("evil.zip", climbing_zip, "3 a file that can't be read"),
    "a line of 300 MB": ("line.jsonl", endless_line, "1 longer than 8 MB"),
    "invalid UTF-8": ("bytes.jsonl", broken_utf8, "3 not valid text in its encoding"),
    "a NUL byte": ("nul.jsonl", nul_byte, "1 holds a NUL character"),
    "a million columns": ("wide.csv", million_columns, "1,000,000 columns; 2,000 are taken"),
    "a Parquet footer of 2 GB": ("long.parquet", lying_footer, "footer is missing or lies"),
    "a Parquet footer of noise": ("noise.parquet", noisy_footer, "can't be read as Parquet"),
    "a Parquet bomb": ("bomb.parquet", parquet_bomb, "decompression bombs"),
    "3,000 columns of Parquet": ("wide.parquet", wide_parquet, "3,000 columns; 2,000 are taken"),
}


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("attacks")
    for name, write, _ in ATTACKS.values():
        write(folder / name)
    return {attack: folder / name for attack, (name, _, _) in ATTACKS.items()}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_told_and_leaves_everything_as_it_was(
    attack: str, attacks: dict[str, Path], imported: Import, data_dir: Path
) -> None:
    kept = imported([{"text": "What was there."}])
    before = content_of(data_dir / "datasets")

    job = carried_out(services.order_import(path=attacks[attack], name="evil"))

    assert job.state == JobState.FAILED
    assert ATTACKS[attack][2] in job.error
    assert content_of(data_dir / "datasets") == before
    assert Dataset.objects.named("rows").head == kept.head
    assert not list(data_dir.parent.rglob("evil.jsonl"))


def test_all_of_them_are_read_in_bounded_memory(attacks: dict[str, Path]) -> None:
    command = [sys.executable, "-c", READ_ALL, *map(str, attacks.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    own, reader_of_parquet = map(int, done.stdout.split())
    assert own < MEMORY
    assert reader_of_parquet < MAX_PARQUET_MEMORY


def test_a_parquet_file_that_takes_too_much_memory_is_refused(tmp_path: Path) -> None:
    rows = [f"{number} " + "word " * 200 for number in range(200_000)]
    pl.DataFrame({"text": rows}).write_parquet(tmp_path / "large.parquet", row_group_size=200_000)
    command = [sys.executable, "-c", READ_WITH_LITTLE, str(tmp_path / "large.parquet")]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert b"Export it with smaller row groups" in done.stderr


def test_a_formula_of_a_table_is_flagged_and_leaves_the_hub_as_text(
    imported: Import, tmp_path: Path
) -> None:
    formulas = ["=SUM(A1:A9)", "@SUM(1)", '-HYPERLINK("x")', "=cmd|' /C calc'!A0", "+SUM(1)"]
    cells = [formula.replace('"', '""') for formula in formulas]
    dataset = imported("".join(["text\n", *(f'"{cell}"\n' for cell in cells)]), "table.csv")
    assert dataset.head is not None
    assert dataset.head.facts["problems"]["FORMULA"] == len(formulas)
    # JSON Lines: no spreadsheet computes what stands in it, and the text stays what it was.
    (path,) = export(version=dataset.head, to=tmp_path / "out")
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == formulas


def content_of(folder: Path) -> dict[str, str]:
    """Every file below a folder with its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
