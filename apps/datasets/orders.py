"""What can be done to a version over REST: all changes, and those that name something else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from apps.datasets.change_schemas import (
    DropOrder,
    EditOrder,
    LanguagesOrder,
    MapOrder,
    MaskOrder,
    NearOrder,
    SampleOrder,
    SplitOrder,
)
from apps.datasets.errors import DatasetNotFound
from apps.datasets.models import Dataset
from apps.datasets.schemas import Strict
from apps.models.models import LocalModel

Slug = Annotated[str, StringConstraints(min_length=1, max_length=120)]
TokenLimit = Annotated[int, Field(ge=8, le=1_000_000)]
DEFAULT_LIMIT = 2048


class MergeOrder(Strict):
    """Add the rows of another dataset of the same kind, each to its split."""

    kind: Literal["merge"]
    other: Slug
    other_version: Annotated[int | None, Field(ge=1, le=10**9)] = Field(
        default=None, description="Null: the present one."
    )

    def plan(self) -> dict[str, Any]:
        """Raises DatasetNotFound."""
        return {"other": Dataset.objects.named(self.other).version(self.other_version).pk}


class TokensOrder(Strict):
    """Count the tokens of every row with a model's tokenizer and chat template."""

    kind: Literal["tokens"]
    model: Slug
    limit: TokenLimit = Field(default=DEFAULT_LIMIT, description="Where rows are cut.")

    def plan(self) -> dict[str, Any]:
        """Raises DatasetNotFound."""
        return {"model": model_of(self.model).pk, "limit": self.limit}


Change = Annotated[
    MapOrder
    | DropOrder
    | MaskOrder
    | SplitOrder
    | SampleOrder
    | EditOrder
    | NearOrder
    | LanguagesOrder
    | MergeOrder
    | TokensOrder,
    Field(discriminator="kind"),
]


def model_of(slug: str) -> LocalModel:
    """A model whose tokenizer counts. Raises DatasetNotFound."""
    writing = LocalModel.objects.exclude(kind=LocalModel.Kind.EMBEDDING)
    model = writing.filter(slug=slug).first()
    if model is None:
        raise DatasetNotFound(f"There is no model {slug!r}. `mlx-hub list` shows those there are.")
    return model
