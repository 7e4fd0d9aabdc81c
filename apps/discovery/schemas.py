"""Discovery as JSON. Sizes are in bytes, parameters are a number of weights."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from apps.discovery.finding import Found
from apps.discovery.hub.searching import MAX_CURSOR
from apps.discovery.listing import ListedModel
from apps.discovery.presentation import ModelView
from apps.discovery.templatetags.discover import fit_on
from apps.discovery.wanted import FormatName, GateName, SortName, Wanted
from apps.inference.machine import this_machine
from apps.models.fit import Fit, Machine

_TAG = r"^[A-Za-z0-9_.+-]{0,60}$"
_REPO_ID_OR_NOTHING = r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_.-]{1,96})?$"

Amount = Annotated[int | None, Field(ge=0, le=2**53)]


class SearchParams(BaseModel):
    """What is left out is not filtered by, but for ``format``."""

    q: str = Field(default="", max_length=300, description="Words of the repository's id.")
    sort: SortName = "trending"
    format: FormatName = Field(
        default="mlx", description="Of the weights; `mlx`: what MLX loads as it is."
    )
    task: str = Field(
        default="", pattern=_TAG, description="The hub's pipeline tag, such as `text-generation`."
    )
    architecture: str = Field(
        default="", pattern=_TAG, description="config.json's `model_type`, such as `qwen3`."
    )
    license: str = Field(default="", pattern=_TAG, description="Such as `apache-2.0`.")
    gate: GateName = Field(default="", description="Whether conditions have to be accepted.")
    base_model: str = Field(
        default="",
        pattern=_REPO_ID_OR_NOTHING,
        description="Only quantised forms of this repository.",
    )
    quantization: str = Field(
        default="", pattern=_TAG, description="`4-bit`, `mxfp4`, …; `full`: not quantised."
    )
    min_parameters: Amount = None
    max_parameters: Amount = None
    max_bytes: Amount = None
    cursor: str = Field(default="", max_length=MAX_CURSOR, description="Of the page before.")

    @property
    def wanted(self) -> Wanted:
        return Wanted(words=self.q.strip(), **self.model_dump(exclude={"q", "cursor"}))


class ListedModelOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    repo_id: str
    task: str = Field(description="Empty here and below: the hub did not say.")
    architecture: str
    library: str
    license: str
    quantization: str = Field(description="Such as `4-bit`, `mxfp4`, `bfloat16` or `GGUF`.")
    parameters: int | None
    weight_bytes: int | None
    is_mlx: bool
    is_gated: bool
    downloads: int = Field(description="In the last 30 days.")
    likes: int
    created_at: datetime | None
    updated_at: datetime | None
    base_models: list[str]
    fit: str = Field(
        default="",
        description="Whether a chat fits the hub's machine, by this summary: `fits`, `tight` or "
        "`too big`; empty: it does not tell.",
    )

    @classmethod
    def of(cls, model: ListedModel, machine: Machine) -> ListedModelOut:
        fit = fit_on(model, machine)
        return cls.model_validate(model).model_copy(update={"fit": fit.verdict if fit else ""})


class SearchResults(BaseModel):
    models: list[ListedModelOut]
    cursor: str = Field(description="Ask with it for the next page; empty: this is the last one.")
    looked_at: int = Field(description="Models that the hub named for this page.")
    answered_at: datetime = Field(description="When the hub did.")
    problem: str = Field(description="Why an old answer is shown; empty: it is fresh.")

    @classmethod
    def of(cls, found: Found) -> SearchResults:
        machine = this_machine()
        return cls(
            models=[ListedModelOut.of(model, machine) for model in found.models],
            cursor=found.cursor,
            looked_at=found.looked_at,
            answered_at=found.at,
            problem=found.problem,
        )


class FileOut(BaseModel):
    name: str
    size: int
    fetched: bool = Field(description="Whether a download fetches it.")


class RevisionOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    commit: str
    kind: str = Field(description="`branch` or `tag`.")


class TermOut(BaseModel):
    label: str
    bytes: int
    how: str = Field(description="How it was computed.")


class FitOut(BaseModel):
    purpose: str
    verdict: str = Field(description="`fits`, `tight`, `too big` or `unknown`.")
    needed_bytes: int
    free_bytes: int
    terms: list[TermOut]
    reason: str = Field(description="Why it is unknown; else empty.")

    @classmethod
    def of(cls, fit: Fit) -> FitOut:
        return cls(
            purpose=fit.purpose,
            verdict=fit.verdict,
            needed_bytes=fit.needed_bytes,
            free_bytes=fit.free_bytes,
            terms=[
                TermOut(label=each.label, bytes=each.nbytes, how=each.how) for each in fit.terms
            ],
            reason=fit.reason,
        )


class ModelOut(BaseModel):
    model: ListedModelOut
    commit: str
    is_loadable: bool = Field(description="Whether it holds what MLX can load.")
    why_not: str = Field(description="Why it can't be loaded, and what to do; empty: it can.")
    download_bytes: int
    parameters: int | None
    context_length: int | None = Field(description="Tokens; null: config.json does not tell.")
    fits: list[FitOut] = Field(description="For chat, LoRA, QLoRA and full fine-tuning.")
    files: list[FileOut]
    revisions: list[RevisionOut]
    relatives: list[ListedModelOut] = Field(description="Quantised forms of the same model.")
    config: dict[str, Any] = Field(description="config.json; empty where it can't be had.")
    card: str = Field(description="Markdown, as its authors wrote it: not to be trusted.")
    problems: dict[str, str] = Field(description="What could not be had, and why.")
    answered_at: datetime
    problem: str = Field(description="Why an old answer is shown; empty: it is fresh.")

    @classmethod
    def of(cls, view: ModelView) -> ModelOut:
        facts, machine = view.facts, this_machine()
        return cls(
            model=ListedModelOut.of(view.model, machine),
            commit=facts.repository.commit,
            is_loadable=view.is_model,
            why_not="" if view.is_model else view.why_no_model,
            download_bytes=view.download_bytes,
            parameters=view.parameters,
            context_length=view.context_length,
            fits=[FitOut.of(fit) for fit in view.fits.all] if view.is_model else [],
            files=[
                FileOut(name=each.file.name, size=each.file.size, fetched=each.is_needed)
                for each in view.files
            ],
            revisions=[RevisionOut.model_validate(each) for each in facts.revisions],
            relatives=[ListedModelOut.of(each, machine) for each in facts.relatives],
            config=dict(facts.config),
            card=facts.card.text if facts.card else "",
            problems=dict(facts.problems),
            answered_at=view.at,
            problem=view.problem,
        )
