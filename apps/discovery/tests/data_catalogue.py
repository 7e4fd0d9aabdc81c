"""A small cast of datasets, as the hub describes them."""

from __future__ import annotations

import io
import json
from typing import Any

import polars as pl

from apps.discovery.tests.hub_search import Catalogue
from apps.discovery.tests.hub_server import HubServer

WORDS = "acme/words"
CHATS = "acme/chats"
SCRIPTED = "zoo/scripted"
PICTURES = "zoo/pictures"

CARD = b"""---
license: mit
---
# Words

Words and what they **mean**. <script>alert("card")</script>
"""


def pairs(count: int, start: int = 0) -> list[dict[str, Any]]:
    """So many prompts with their completions."""
    numbers = range(start, start + count)
    return [{"prompt": f"What is {i}?", "completion": f"It is {i}."} for i in numbers]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(rows).write_parquet(buffer)
    return buffer.getvalue()


def add_words(server: HubServer) -> None:
    """A dataset of JSON Lines, its splits told by the files' names."""
    server.add(
        f"datasets/{WORDS}",
        {
            "README.md": CARD,
            "train.jsonl": lines(pairs(8)),
            "validation.jsonl": lines(pairs(2, 100)),
        },
        cardData={"license": "mit"},
        description="Words and what they mean.",
        tags=["license:mit", "language:en", "size_categories:n<1K", "task_categories:other"],
        downloads=900,
        likes=3,
        trendingScore=5,
        mainSize=4000,
        lastModified="2026-10-01T12:00:00.000Z",
    )


def add_chats(server: HubServer) -> None:
    """A dataset of two configurations in Parquet, as its card has them."""
    configs = [
        {
            "config_name": "small",
            "data_files": [
                {"split": "train_sft", "path": "data/small/train-*"},
                {"split": "test_sft", "path": ["data/small/test-*.parquet"]},
            ],
        },
        {"config_name": "large", "data_files": "data/large/**"},
    ]
    chat = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]}
    ]
    server.add(
        f"datasets/{CHATS}",
        {
            "data/small/train-00000-of-00001.parquet": parquet(chat * 3),
            "data/small/test-00000-of-00001.parquet": parquet(chat),
            "data/large/deep/part.parquet": parquet(chat * 5),
            "data/small/../../../escape.parquet": b"no",
        },
        cardData={"configs": configs},
        tags=["license:apache-2.0"],
        downloads=50,
        trendingScore=9,
    )


def add_scripted(server: HubServer) -> None:
    """A dataset whose rows a script makes, and the hub's conversion of it."""
    name = f"datasets/{SCRIPTED}"
    server.add(name, {"scripted.py": b"raise SystemExit", "README.md": b"# Scripted\n"})
    server.branch(
        name,
        "refs/convert/parquet",
        {
            "default/train/0000.parquet": parquet(pairs(4)),
            "default/partial-test/0000.parquet": parquet(pairs(1, 50)),
        },
    )


def stock_data(catalogue: Catalogue) -> Catalogue:
    """Words, chats, a scripted one with a conversion, and one of pictures alone."""
    add_words(catalogue.server)
    add_chats(catalogue.server)
    add_scripted(catalogue.server)
    catalogue.server.add(f"datasets/{PICTURES}", {"cat.png": b"\x89PNG"}, gated="auto")
    return catalogue
