"""Each recognised shape, from its original to the tokens that mlx-lm trains with."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import zstandard
from django.test import Client

from apps.datasets import services
from apps.datasets.exporting import export
from apps.datasets.formats.kinds import recognise
from apps.datasets.formats.reading.records import Record
from apps.datasets.formats.reading.source import read_source
from apps.datasets.formats.tokens import learnt_rows
from apps.datasets.models import DatasetVersion
from apps.datasets.tests.conftest import carried_out
from apps.models.models import LocalModel
from apps.models.runtime.gguf.config import read_shape
from apps.models.runtime.gguf.reader import read_gguf
from apps.models.runtime.gguf.tokenizer import write_tokenizer
from apps.models.runtime.gguf.vocabulary import read_vocabulary
from apps.models.runtime.starter import find_starter
from tests.registry import make_model

ORIGINALS = Path(__file__).parent / "originals"
KINDS = {
    "sharegpt.json": "ShareGPT conversations",
    "sharegpt-tools.json": "ShareGPT conversations",
    "alpaca.json": "Alpaca instructions",
    "dolly.jsonl": "Alpaca instructions",
    "openai-chat.jsonl": "OpenAI chat",
    "openai-tools.jsonl": "OpenAI chat with tools",
    "openai-functions.jsonl": "OpenAI chat with tools",
    "completion.jsonl": "Prompts and completions",
    "text.jsonl": "Plain text",
    "text.md": "Plain text",
    "pairs-trl.jsonl": "Preference pairs",
    "pairs-trl-chat.jsonl": "Preference pairs",
    "pairs-openai.jsonl": "Preference pairs",
    "pairs-ultrafeedback.jsonl": "Preference pairs",
    "pairs-hh.jsonl": "Preference pairs",
}

Records = list[dict[str, Any]]


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter model's tokenizer, without its weights."""
    found = find_starter()
    if found is None:
        pytest.skip("the starter model is not installed")
    folder = tmp_path_factory.mktemp("starter")
    file = read_gguf(found)
    shape = read_shape(file)
    vocabulary = read_vocabulary(file, shape)
    write_tokenizer(vocabulary, folder)
    config = {"model_type": "llama"} | vocabulary.special_ids()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def model(starter: Path, db: None) -> LocalModel:
    return make_model("starter", path=str(starter))


@pytest.fixture(scope="module")
def theirs(starter: Path) -> Any:
    from mlx_lm.tokenizer_utils import load

    return load(starter)


def test_every_original_has_its_expectation() -> None:
    files = {path.name for path in ORIGINALS.iterdir()} - {"README.md"}
    assert files == set(KINDS)
    described = (ORIGINALS / "README.md").read_text()
    assert all(f"`{name}`" in described for name in files)


@pytest.mark.parametrize("mask", [True, False], ids=["masked", "all"])
@pytest.mark.parametrize("name", KINDS)
def test_the_preview_is_what_mlx_lm_reads_of_the_export(
    name: str, mask: bool, model: LocalModel, theirs: Any, client: Client, tmp_path: Path
) -> None:
    version = imported(ORIGINALS / name)
    assert version.change == f"Recognised as {KINDS[name]}"
    assert version.facts["faulty"] == 0

    expected = read_back(version, tmp_path / "out", theirs, mask)
    assert len(expected) == len(learnt(version))
    for number, (ids, offset) in enumerate(expected):
        side, row = divmod(number, version.rows) if version.kind == "preference" else (0, number)
        shown = previewed(client, version, row, mask)[side]
        assert [each for each, _ in shown] == ids
        assert [is_learnt for _, is_learnt in shown] == [
            place >= max(offset, 1) for place in range(len(ids))
        ]


def test_the_page_of_a_row_shows_each_of_its_texts(db: None, client: Client) -> None:
    for name in KINDS:
        version = imported(ORIGINALS / name)
        page = client.get(f"/data/{version.dataset.slug}/rows/0/")
        texts = "".join(Texts(page.content.decode()).parts)
        for text in texts_in(version.files.at(0).value):
            assert text in texts, name


CONTAINERS: dict[str, Callable[[Records], bytes]] = {
    "rows.jsonl": lambda rows: lines(rows),
    "rows.ndjson": lambda rows: lines(rows),
    "rows.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "wrapped.json": lambda rows: json.dumps({"version": 1, "data": rows}).encode(),
    "rows.csv": lambda rows: table(rows, ","),
    "rows.tsv": lambda rows: table(rows, "\t"),
    "rows.parquet": lambda rows: parquet(rows),
    "rows.zip": lambda rows: zipped({"a/rows.jsonl": lines(rows)}),
    "tables.zip": lambda rows: zipped({"rows.csv": table(rows, ";")}),
    "rows.jsonl.gz": lambda rows: gzip.compress(lines(rows)),
    "rows.csv.gz": lambda rows: gzip.compress(table(rows, ",")),
    "rows.jsonl.zst": lambda rows: zstandard.compress(lines(rows)),
}


@pytest.mark.parametrize("original", ["alpaca.json", "sharegpt.json", "openai-tools.jsonl"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_the_rows_are_the_same_in_whatever_they_come(
    container: str, original: str, tmp_path: Path
) -> None:
    records = records_of(ORIGINALS / original)
    source = tmp_path / container
    source.write_bytes(CONTAINERS[container](records))
    assert mapped(records_of(source)) == mapped(records)


def test_a_folder_gives_the_rows_of_all_its_files(tmp_path: Path) -> None:
    records = records_of(ORIGINALS / "completion.jsonl")
    (tmp_path / "rows" / "more").mkdir(parents=True)
    (tmp_path / "rows" / "a.jsonl").write_bytes(lines(records[:1]))
    (tmp_path / "rows" / "more" / "b.csv").write_bytes(table(records[1:], ","))
    assert mapped(records_of(tmp_path / "rows")) == mapped(records)


def records_of(path: Path) -> Records:
    """What a source holds; nothing of it may be unreadable."""
    reads = list(read_source(path))
    assert all(isinstance(read, Record) for read in reads)
    return [read.value for read in reads if isinstance(read, Record)]


def mapped(records: Records) -> Records:
    mapping = recognise(records).mapping
    return [mapping.apply(record) for record in records]


def imported(path: Path) -> DatasetVersion:
    """The version that an import ends with."""
    job = carried_out(services.order_import(path=path, name=path.stem))
    assert job.error == ""
    assert job.result is not None
    return job.result


def learnt(version: DatasetVersion) -> Records:
    """What is learnt of each row; of pairs first every chosen answer, then the others."""
    sides = [learnt_rows(row) for row in version.files.values()]
    return [each[side] for side in sides[0] for each in sides]


def read_back(
    version: DatasetVersion, to: Path, tokenizer: Any, mask: bool
) -> list[tuple[list[int], int]]:
    """Tokens and the first learnt one, as mlx-lm's own reader has them of the exported folder.

    It reads no pairs: of those it gets both conversations.
    """
    from mlx_lm.tuner.datasets import load_local_dataset

    if version.kind == "preference":
        to.mkdir()
        (to / "train.jsonl").write_bytes(lines(learnt(version)))
    else:
        export(version=version, to=to)
    # Of texts everything is learnt; it refuses to mask what has no prompt.
    config = SimpleNamespace(mask_prompt=mask and version.kind != "text")
    train, _, _ = load_local_dataset(to, tokenizer, config)
    return [train.process(train[number]) for number in range(len(train))]


def previewed(
    client: Client, version: DatasetVersion, row: int, mask: bool
) -> list[list[tuple[int, bool]]]:
    """The tokens that the page shows, by side: id, and whether it is learnt."""
    query = {"v": version.number, "model": "starter", "limit": 100_000}
    query |= {"mask": "on"} if mask else {}
    page = client.get(f"/data/{version.dataset.slug}/rows/{row}/tokens/", query)
    return Texts(page.content.decode()).tokens


class Texts(HTMLParser):
    """What a page shows of a row: its texts, and its tokens."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tokens: list[list[tuple[int, bool]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        classes = (given.get("class") or "").split()
        if "tokens" in classes:
            self.tokens.append([])
        elif "token" in classes and given.get("title"):
            self.tokens[-1].append((int(given["title"] or ""), "is-masked" not in classes))

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def texts_in(row: dict[str, Any]) -> list[str]:
    """Every text of a row, read without the code under test."""
    texts: list[str] = []
    for name in ("prompt", "messages"):
        if isinstance(row.get(name), list):
            texts += [message["content"] for message in row[name]]
    plain = ("prompt", "completion", "text", "chosen", "rejected")
    return texts + [row[name] for name in plain if isinstance(row.get(name), str)]


def lines(rows: Records) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def table(rows: Records, delimiter: str) -> bytes:
    """A table as spreadsheets write it; what is no text stands in its cell as JSON."""
    out = io.StringIO()
    names = list(rows[0])
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(names)
    for row in rows:
        values = [row.get(name, "") for name in names]
        writer.writerow(each if isinstance(each, str) else json.dumps(each) for each in values)
    return out.getvalue().encode()


def parquet(rows: Records) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows, infer_schema_length=None, strict=False).write_parquet(out)
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()
