"""Datasets of Hugging Face as JSON. Sizes are in bytes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from apps.discovery import hub
from apps.discovery.data.finding import DataFacts
from apps.discovery.data.wanted import DataWanted
from apps.discovery.downloads.data_orders import MAX_ROWS, Choice
from apps.discovery.hub.searching import MAX_CURSOR
from apps.discovery.keeping import Kept
from apps.discovery.schemas import RevisionOut
from apps.discovery.wanted import GateName, SortName

_TAG = r"^[A-Za-z0-9_.+-]{0,60}$"
_SIZE = r"^([0-9A-Za-z<>]{1,30})?$"

PartName = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class DataSearchParams(BaseModel):
    """What is left out is not filtered by."""

    q: str = Field(default="", max_length=300, description="Words of the repository's id.")
    sort: SortName = "trending"
    task: str = Field(default="", pattern=_TAG, description="Such as `text-generation`.")
    language: str = Field(default="", pattern=_TAG, description="A code, such as `en`.")
    size: str = Field(default="", pattern=_SIZE, description="Of rows, such as `1K<n<10K`.")
    license: str = Field(default="", pattern=_TAG, description="Such as `apache-2.0`.")
    gate: GateName = Field(default="", description="Whether conditions have to be accepted.")
    cursor: str = Field(default="", max_length=MAX_CURSOR, description="Of the page before.")

    @property
    def wanted(self) -> DataWanted:
        return DataWanted(words=self.q.strip(), **self.model_dump(exclude={"q", "cursor"}))


class ListedDatasetOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    repo_id: str
    description: str = Field(description="Empty here and below: the hub did not say.")
    tasks: list[str]
    languages: list[str]
    rows: str = Field(description="About how many, such as `1K<n<10K`.")
    license: str
    nbytes: int | None = Field(description="Of all files of its main branch.")
    is_gated: bool
    downloads: int = Field(description="In the last 30 days.")
    likes: int
    updated_at: datetime | None


class DataSearchResults(BaseModel):
    datasets: list[ListedDatasetOut]
    cursor: str = Field(description="Ask with it for the next page; empty: this is the last one.")
    answered_at: datetime = Field(description="When the hub did.")
    problem: str = Field(description="Why an old answer is shown; empty: it is fresh.")

    @classmethod
    def of(cls, kept: Kept[hub.DatasetListing]) -> DataSearchResults:
        return cls(
            datasets=[ListedDatasetOut.model_validate(each) for each in kept.value.datasets],
            cursor=kept.value.cursor,
            answered_at=kept.at,
            problem=kept.problem,
        )


class PartOut(BaseModel):
    config: str
    split: str
    split_here: str = Field(description="Where its rows go: `train`, `valid` or `test`.")
    nbytes: int
    files: int


class HubDatasetOut(BaseModel):
    dataset: ListedDatasetOut
    commit: str
    is_converted: bool = Field(description="Whether the parts are the hub's own Parquet files.")
    parts: list[PartOut] = Field(description="What can be imported of it.")
    revisions: list[RevisionOut]
    card: str = Field(description="Markdown, as its authors wrote it: not to be trusted.")
    problems: dict[str, str] = Field(description="What could not be had, and why.")
    answered_at: datetime
    problem: str = Field(description="Why an old answer is shown; empty: it is fresh.")

    @classmethod
    def of(cls, kept: Kept[DataFacts]) -> HubDatasetOut:
        facts = kept.value
        return cls(
            dataset=ListedDatasetOut.model_validate(facts.repository.dataset),
            commit=facts.repository.commit,
            is_converted=facts.repository.is_converted,
            parts=[
                PartOut(
                    config=part.config,
                    split=part.split,
                    split_here=part.split_here,
                    nbytes=part.nbytes,
                    files=len(part.files),
                )
                for part in facts.repository.parts
            ],
            revisions=[RevisionOut.model_validate(each) for each in facts.revisions],
            card=facts.card.text if facts.card else "",
            problems=dict(facts.problems),
            answered_at=kept.at,
            problem=kept.problem,
        )


class DataDownloadRequest(BaseModel):
    """Some splits of a dataset on Hugging Face, to become a dataset here."""

    model_config = ConfigDict(extra="forbid")

    repo_id: str = Field(min_length=1, max_length=200, description="OWNER/NAME.")
    config: str = Field(default="", max_length=300, description="Empty: the default one.")
    splits: list[PartName] = Field(default=[], max_length=100, description="Empty: all of them.")
    revision: str = Field(
        default="", max_length=200, description="A branch, tag or commit; empty: the newest."
    )
    name: str = Field(
        default="", max_length=100, description="What to call the dataset here; empty: as there."
    )

    rows: Annotated[int | None, Field(ge=1, le=MAX_ROWS)] = Field(
        default=None,
        description="Only the first so many rows of each split, out of no more files than hold "
        "them; null: all.",
    )

    @property
    def choice(self) -> Choice:
        return Choice(self.config, tuple(self.splits), self.rows)
