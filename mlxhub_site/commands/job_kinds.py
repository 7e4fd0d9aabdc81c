"""Every kind of job as commands name it: `12` is a training, `download-3` a download."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from mlxhub_site.commands.hub.client import HubClient
from mlxhub_site.commands.outcome import BadUsage, NotFound

Job = dict[str, Any]

ACTIVE = ("queued", "running")

_NAME = re.compile(r"(?:([a-z]+)-)?([0-9]{1,18})")


@dataclass(frozen=True)
class Kind:
    """What the API says of one kind of job, and what may be asked of it there."""

    path: str
    """Where they are listed; one has its number below it."""
    listed: str
    """The list's name in that answer."""
    words: tuple[str, ...]
    """What stands before a number; with several, each job says which in ``kind``."""
    subject: Callable[[Job], str]
    pauses: bool = False
    again: str = ""
    """The action by which one that stands still goes on; empty: none does."""

    def word(self, job: Job) -> str:
        """Which of ``words`` names the job."""
        return self.words[0] if len(self.words) == 1 else str(job["kind"])


def _evaluated(job: Job) -> str:
    return ", ".join(job["plan"]["subjects"])


def _on_dataset(job: Job) -> str:
    return f"{job['dataset']}, {job['kind']}"


_repository = itemgetter("repo_id")

TRAINING = Kind(
    "/api/training/jobs", "jobs", ("training",), itemgetter("name"), pauses=True, again="resume"
)
OTHERS = (
    Kind("/api/downloads", "downloads", ("download",), _repository, pauses=True, again="resume"),
    Kind(
        "/api/models/jobs",
        "jobs",
        ("import", "convert", "fuse", "export", "verify"),
        itemgetter("subject"),
        again="repeat",
    ),
    Kind("/api/dataset-jobs", "jobs", ("data",), _on_dataset),
    Kind("/api/benchmarks", "benchmarks", ("benchmark",), itemgetter("model")),
    Kind("/api/evaluations", "evaluations", ("evaluation",), _evaluated, again="resume"),
    Kind("/api/publications", "publications", ("publication",), _repository, again="repeat"),
)
"""All kinds but trainings, which `mlx-hub jobs` has columns of their own for."""

_KINDS = {word: kind for kind in (TRAINING, *OTHERS) for word in kind.words}


@dataclass(frozen=True)
class Named:
    """A job as somebody named it."""

    kind: Kind
    word: str
    number: int

    def __str__(self) -> str:
        return name_of(self.word, self.number)

    @property
    def path(self) -> str:
        return f"{self.kind.path}/{self.number}"

    def find(self, client: HubClient) -> Job:
        """The job. Raises NotFound, also for one that is of another kind than its name says."""
        job: Job = client.get(self.path)
        if (word := self.kind.word(job)) != self.word:
            raise NotFound(f"There is no {self}; {name_of(word, self.number)} has that number.")
        return job

    def row(self, job: Job) -> Job:
        """What commands tell of it, in the same fields for every kind."""
        return row_of(self.kind, job)


def named(text: str) -> Named:
    """The job that ``text`` names. Raises BadUsage."""
    found = _NAME.fullmatch(text)
    kind = _KINDS.get(found[1] or TRAINING.words[0]) if found else None
    if found is None or kind is None:
        raise BadUsage(
            f"{text!r} is no job: a training is named by its number, another one as in "
            "download-3. `mlx-hub jobs --all` lists them."
        )
    return Named(kind, found[1] or TRAINING.words[0], int(found[2]))


def name_of(word: str, number: int) -> str:
    """What a command calls a job."""
    return str(number) if word in TRAINING.words else f"{word}-{number}"


def others(client: HubClient, limit: int) -> Iterator[Job]:
    """Jobs that are no trainings, those of one kind together, the newest first."""
    for kind in OTHERS:
        for job in client.get(kind.path, limit=limit)[kind.listed]:
            yield row_of(kind, job)


def row_of(kind: Kind, job: Job) -> Job:
    """A job in the fields that all kinds share; one that failed tells why in place of its stage."""
    word = kind.word(job)
    return {
        "job": name_of(word, job["id"]),
        "what": word,
        "id": job["id"],
        "subject": kind.subject(job),
        "state": job["state"],
        "doing": job.get("doing") or job.get("error") or "",
    }
