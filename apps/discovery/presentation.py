"""What the Discover pages show, from what the hub told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from django.http import QueryDict

from apps.discovery import hub
from apps.discovery.keeping import Kept
from apps.discovery.listing import ListedModel
from apps.discovery.model_page import ModelFacts
from apps.discovery.reading import text
from apps.discovery.snapshot import RemoteFile, Snapshot, needed
from apps.discovery.weights import FULL_PRECISION
from apps.inference.machine import this_machine
from apps.models.fit import CHAT_CONTEXT, ModelFits, model_fits
from apps.models.runtime.context import context_length
from apps.models.runtime.memory import Weights

CONTEXTS = (2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144)
"""Tokens of context that a fit may be shown for."""

CARD_LABELS = (
    ("language", "Languages"),
    ("datasets", "Datasets"),
    ("license_link", "Licence text"),
    ("new_version", "Newer version"),
)

MAX_LINES = 20
"""Of one fact, such as languages."""

MAX_FILES = 500
"""Of a repository, in the table; the number of all is told."""


class SearchAddress:
    """The query of a search's address, with one thing changed."""

    def __init__(self, query: QueryDict) -> None:
        self._query = query

    @property
    def first(self) -> str:
        """The search from its beginning."""
        return self._but(cursor="")

    @property
    def here(self) -> str:
        return self._query.urlencode()

    @property
    def is_first(self) -> bool:
        return not self._query.get("cursor")

    def further(self, cursor: str) -> str:
        """The search from ``cursor`` on."""
        return self._but(cursor=cursor)

    def _but(self, **changes: str) -> str:
        """What is empty is left out of the address."""
        given = self._query.dict() | changes
        query = QueryDict(mutable=True)
        query.update({name: str(value) for name, value in given.items() if value})
        return query.urlencode()


@dataclass(frozen=True)
class ListedFile:
    """A file of a repository, as the page lists it."""

    file: RemoteFile
    is_needed: bool
    """Whether a download fetches it."""


@dataclass(frozen=True)
class ModelView:
    """A model's page, without the parts that could not be had."""

    facts: ModelFacts
    at: datetime
    problem: str
    files: tuple[ListedFile, ...]
    download_bytes: int
    is_model: bool
    """Whether it holds what MLX can load."""
    parameters: int | None
    context_length: int | None
    """Tokens; None where config.json does not tell."""
    context: int
    """Tokens that the chat's fit is for."""
    fits: ModelFits
    revision: str
    """As asked for; empty: the newest."""

    @property
    def model(self) -> ListedModel:
        return self.facts.repository.model

    @property
    def epoch(self) -> float:
        return self.at.timestamp()

    @property
    def architecture(self) -> str:
        return text(self.facts.config.get("model_type")) or self.model.architecture

    @property
    def base(self) -> str:
        """The repository that its quantised forms are made from."""
        return self.model.quantized_from or self.model.repo_id

    @property
    def card_facts(self) -> list[tuple[str, tuple[str, ...]]]:
        """What the card's front matter says, under the names to show it by."""
        card = self.facts.repository.card
        return [(label, card[key][:MAX_LINES]) for key, label in CARD_LABELS if key in card]

    @property
    def files_left_out(self) -> int:
        """How many files the table does not show."""
        return len(self.facts.repository.files) - len(self.files)

    @property
    def revision_is_listed(self) -> bool:
        """Whether the revision that was asked for is among those to choose."""
        return self.revision in {each.name for each in self.facts.revisions}

    @property
    def why_no_model(self) -> str:
        """What the repository lacks, and what to do instead."""
        repository = self.facts.repository
        return str(hub.no_weights(repository.model.repo_id, repository.files))

    @property
    def contexts(self) -> tuple[int, ...]:
        """The contexts to choose from: those that the model can take, and the chosen one."""
        most = self.context_length or CONTEXTS[-1]
        return tuple(sorted({each for each in CONTEXTS if each <= most} | {self.context}))

    @classmethod
    def of(cls, kept: Kept[ModelFacts], asked: Mapping[str, str]) -> ModelView:
        """What is kept of a model, for the context that is asked for."""
        facts = kept.value
        wanted = needed(facts.repository.files)
        snapshot = Snapshot(facts.repository.model.repo_id, facts.repository.commit, wanted)
        names = {file.name for file in wanted} if snapshot.is_model else set()
        config = dict(facts.config)
        weights = _weights(facts, snapshot) if snapshot.is_model else None
        longest = context_length(config) if config else None
        context = _context(asked.get("context", ""), longest)
        return cls(
            facts=facts,
            at=kept.at,
            problem=kept.problem,
            files=tuple(
                ListedFile(file, file.name in names) for file in facts.repository.files[:MAX_FILES]
            ),
            download_bytes=snapshot.size_bytes,
            is_model=snapshot.is_model,
            parameters=weights.parameters if weights else facts.repository.model.parameters,
            context_length=longest,
            context=context,
            fits=model_fits(config, weights, this_machine(), context=context),
            revision=asked.get("revision", ""),
        )


def _weights(facts: ModelFacts, snapshot: Snapshot) -> Weights:
    """Their exact size, and as many parameters as the hub counts or the size suggests."""
    files = (file for file in snapshot.files if fnmatchcase(file.name, "model*.safetensors"))
    weights = Weights.of_bytes(sum(file.size for file in files), facts.config)
    model = facts.repository.model
    if model.parameters and model.weight_bytes:
        is_quantized = bool(model.quantization) and model.quantization not in FULL_PRECISION
        return Weights(model.parameters, weights.nbytes, weights.quantized or is_quantized)
    return weights


def _context(asked: str, longest: int | None) -> int:
    """The number asked for, as far as the model can take it; the usual one for anything else."""
    most = longest or 10_000_000
    if not asked.isdecimal() or len(asked) > 9:
        return min(CHAT_CONTEXT, most)
    return min(max(int(asked), 1), most)
