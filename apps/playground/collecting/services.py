"""From chosen conversations to a dataset: counted first, then made or added to one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import orjson
from django.db import transaction

from apps.datasets import services as datasets
from apps.datasets import uploads
from apps.datasets.errors import BadDataOrder
from apps.datasets.models import Dataset, DatasetJob
from apps.playground.collecting.rows import MAPPINGS, Kind, Row, Which, rows_of
from apps.playground.models import Conversation, Message
from apps.uploads.pieces import drop

MAX_CONVERSATIONS = 5_000
"""Of one dataset; more than a person has, and few enough to read at once."""

MAX_ADDED = 1_000
"""Rows that are added to a dataset at once, as over the REST API."""


@dataclass(frozen=True)
class Picked:
    """Which conversations, and what of them. Without any named: all there are."""

    kind: Kind = "chat"
    which: Which = "shown"
    conversations: tuple[UUID, ...] = ()
    answers: tuple[int, ...] = ()
    """Keys of single answers; then nothing else of their conversations is taken."""


@dataclass(frozen=True)
class Collection:
    """What comes of it."""

    rows: list[Row]
    conversations: int
    """How many were looked at."""

    @property
    def used(self) -> int:
        """How many gave a row."""
        return len({row["conversation"] for row in self.rows})


def collect(picked: Picked) -> Collection:
    """The rows that ``picked`` comes to; the newest conversation first. Changes nothing."""
    rows: list[Row] = []
    count = 0
    only = frozenset(picked.answers) if picked.answers else None
    for conversation in _conversations(picked):
        count += 1
        messages = list(conversation.messages.all())
        rows += rows_of(conversation, messages, kind=picked.kind, which=picked.which, only=only)
    return Collection(rows, count)


def make_dataset(*, picked: Picked, name: str, by: str = datasets.OWNER) -> DatasetJob:
    """Have the worker make a dataset of the rows. Raises BadDataOrder, UploadRefused."""
    collection = _required(picked)
    content = b"".join(orjson.dumps(row) + b"\n" for row in collection.rows)
    path = uploads.PLACE.whole("conversations.jsonl", content).path
    try:
        return datasets.order_import(
            path=path,
            name=name,
            uploaded=True,
            mapping=MAPPINGS[picked.kind],
            origin={"label": _label(collection), "conversations": collection.used},
            by=by,
        )
    except BaseException:
        drop(path)
        raise


def add_to_dataset(*, picked: Picked, dataset: Dataset, by: str = datasets.OWNER) -> DatasetJob:
    """Have the worker add the rows to a dataset's training split. Raises DatasetError."""
    rows = _required(picked).rows
    version = dataset.version(None)
    if version.kind != picked.kind:
        raise BadDataOrder(
            f"{dataset.name} has {version.get_kind_display().lower()}. Choose a dataset of the "
            "same kind, or make a new one."
        )
    if len(rows) > MAX_ADDED:
        raise BadDataOrder(
            f"At most {MAX_ADDED:,} rows are added at once, and these are {len(rows):,}. Make a "
            "new dataset of them, then merge the two."
        )
    return datasets.order(version=version, kind=DatasetJob.Kind.EDIT, plan={"added": rows}, by=by)


def _required(picked: Picked) -> Collection:
    """The rows. Raises BadDataOrder where there are none."""
    collection = collect(picked)
    if collection.rows:
        return collection
    if picked.kind == "preference":
        raise BadDataOrder(
            "No preference pair comes of these conversations. Rate two answers to the same "
            "question differently, or correct one."
        )
    if picked.which == "liked" and not picked.answers:
        raise BadDataOrder("No answer in these conversations is liked or corrected. Rate some.")
    raise BadDataOrder("No whole answer is in these conversations. Choose others.")


def _conversations(picked: Picked) -> Iterator[Conversation]:
    chosen = Conversation.objects.all()
    if picked.answers:
        chosen = chosen.filter(
            pk__in=Message.objects.filter(pk__in=picked.answers).values("conversation")
        )
    elif picked.conversations:
        chosen = chosen.filter(pk__in=picked.conversations)
    # One moment's state: a correction that comes meanwhile is in all of it or in nothing.
    with transaction.atomic():
        yield from chosen.prefetch_related("messages")[:MAX_CONVERSATIONS]


def _label(collection: Collection) -> str:
    plural = "" if collection.used == 1 else "s"
    return f"{collection.used:,} conversation{plural} of the playground"
