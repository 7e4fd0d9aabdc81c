"""Requests to the API as conversation rows, where their text is kept (MLXHUB_LOG_PROMPTS)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from apps.datasets import services as datasets
from apps.datasets import uploads
from apps.datasets.errors import BadDataOrder
from apps.datasets.formats.kinds import recognise
from apps.datasets.formats.messages import conversation, read_tools
from apps.datasets.models import DatasetJob
from apps.inference.usage.models import RequestRecord, RequestRecordQuerySet
from apps.playground.collecting.rows import Row
from apps.playground.thinking import split_thinking
from apps.uploads.pieces import drop

CHATS = "POST /v1/chat/completions"
MAX_REQUESTS = 20_000
"""Of one dataset, the latest first."""


def rows_of_requests(records: RequestRecordQuerySet) -> Iterator[Row]:
    """A row for each chat that was answered to its end; what was cut short teaches nothing.

    Calls of tools are no text and so were not kept: an answer of nothing else is left out.
    """
    answered = records.filter(endpoint=CHATS, status=200, finish_reason="stop", client_left=False)
    kept = answered.exclude(request_text="").exclude(answer_text="").order_by("-pk")
    for record in kept[:MAX_REQUESTS].iterator():
        if (row := _row(record)) is not None:
            yield row


def make_dataset_of_requests(
    *, records: RequestRecordQuerySet, name: str, by: str = datasets.OWNER
) -> DatasetJob:
    """Have the worker make a dataset of them. Raises BadDataOrder, UploadRefused."""
    rows = list(rows_of_requests(records))
    if not rows:
        raise BadDataOrder(
            "The text of none of these requests is kept. Set MLXHUB_LOG_PROMPTS to keep that of "
            "the next ones."
        )
    content = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    path = uploads.PLACE.whole("requests.jsonl", content).path
    label = f"{len(rows):,} request{'s' if len(rows) != 1 else ''} to the API"
    mapping = recognise(rows).mapping
    try:
        return datasets.order_import(
            path=path, name=name, uploaded=True, mapping=mapping, origin={"label": label}, by=by
        )
    except BaseException:
        drop(path)
        raise


def _row(record: RequestRecord) -> Row | None:
    try:
        body = orjson.loads(record.request_text)
    except orjson.JSONDecodeError:
        return None  # one that was too long was cut when it was kept
    asked: list[Any] = conversation(body.get("messages")) if isinstance(body, dict) else []
    answer = split_thinking(record.answer_text)[1].strip()
    if not asked or not answer:
        return None
    row: Row = {"messages": [*asked, {"role": "assistant", "content": answer}]}
    tools = read_tools(body.get("tools"))
    return row | ({"tools": tools} if tools else {})
