"""The list of models as an address asks for it: searched, filtered, sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import F
from django.db.models.expressions import OrderBy
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.http import urlencode

from apps.models.models import LocalModel, LocalModelQuerySet

PER_PAGE = 50

SORTABLE = {
    "name": "Name",
    "size_bytes": "Size",
    "parameters": "Parameters",
    "quantization": "Quantisation",
    "context_length": "Context",
}
NUMBERS = {"size_bytes", "parameters", "context_length"}

_UNSHOWN = ("files", "recommended", "system_prompt", "damage")
"""What no list shows, and what may be long."""


@dataclass(frozen=True)
class Wish:
    """What a list is asked for; what is not known means nothing."""

    search: str = ""
    kind: str = ""
    """A LocalModel.Kind, or empty for all."""
    sort: str = "name"
    """A field of ``SORTABLE``; a dash before it turns it round."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Wish:
        """What an address's query asks for."""
        kind, sort = query.get("kind", ""), query.get("sort", "")
        return cls(
            search=query.get("q", "").strip()[:200],
            kind=kind if kind in LocalModel.Kind.values else "",
            sort=sort if sort.removeprefix("-") in SORTABLE else "name",
        )

    def query(self, **changes: str | int) -> str:
        """The same as an address's query, with ``changes``; empty where nothing is asked for."""
        asked = {"q": self.search, "kind": self.kind, "sort": self.sort} | changes
        kept = {key: value for key, value in asked.items() if value}
        if kept.get("sort") == "name":
            del kept["sort"]
        return f"?{urlencode(kept)}" if kept else ""


@dataclass(frozen=True)
class Column:
    """A table head that sorts by its column."""

    field: str
    label: str
    url: str
    sorted: str
    """``ascending``, ``descending`` or empty: the value of ``aria-sort``."""

    @property
    def is_number(self) -> bool:
        return self.field in NUMBERS


def columns(wish: Wish) -> list[Column]:
    """The heads of the table; each leads to the list sorted by it."""
    heads = []
    for field, label in SORTABLE.items():
        target = f"-{field}" if wish.sort == field else field
        direction = {field: "ascending", f"-{field}": "descending"}.get(wish.sort, "")
        url = f"{reverse('models:list')}{wish.query(sort=target)}"
        heads.append(Column(field, label, url, direction))
    return heads


@dataclass(frozen=True)
class KindLink:
    """Leads to the models of one kind, or of all."""

    label: str
    url: str
    is_shown: bool


def kinds(wish: Wish) -> list[KindLink]:
    """All, then each kind."""
    return [
        KindLink(
            label.capitalize(),
            f"{reverse('models:list')}{wish.query(kind=kind)}",
            kind == wish.kind,
        )
        for kind, label in (("", "all"), *LocalModel.Kind.choices)
    ]


def wanted(wish: Wish) -> LocalModelQuerySet:
    """The models, in order. Long fields that lists don't show are left in the database."""
    models = LocalModel.objects.matching(wish.search) if wish.search else LocalModel.objects.all()
    if wish.kind:
        models = models.filter(kind=wish.kind)
    return models.order_by(_ordering(wish.sort), "pk").defer(*_UNSHOWN)


def page_of(wish: Wish, number: str | None) -> Page[LocalModel]:
    """One page; the nearest there is where ``number`` is none."""
    return Paginator(wanted(wish), PER_PAGE).get_page(number)


def _ordering(sort: str) -> OrderBy:
    """The order itself; letters count alike, large or small."""
    field = sort.removeprefix("-")
    key = F(field) if field in NUMBERS else Lower(field)
    return key.desc() if sort.startswith("-") else key.asc()
