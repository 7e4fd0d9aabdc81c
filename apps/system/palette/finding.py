"""Where somebody may want to go who types a few letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import reverse
from django.utils.http import urlencode

from apps.accounts.roles import Role
from apps.accounts.rules import rule_named
from apps.datasets.models import Dataset
from apps.models.models import LocalModel
from apps.playground.models import Conversation
from apps.system.navigation import SECTIONS
from apps.training.models import TrainingJob

MOST = 5
"""Entries of one kind; who looks for another types more of its name."""

MAX_WORDS = 100
"""Characters that are looked for."""


@dataclass(frozen=True)
class Entry:
    """One place to go to."""

    label: str
    kind: str
    """What it is, in a word or two."""
    icon: str
    url: str


_TASKS = (
    ("New chat", "playground:home", "plus"),
    ("Compare models", "compare:home", "columns"),
    ("Import a model", "models:import", "cube"),
    ("Downloads", "downloads:home", "download"),
    ("Import data", "datasets:import", "stack"),
    ("Make a dataset of chats", "playground:collect", "stack"),
    ("Train an adapter", "training:new", "branch"),
    ("Evaluate", "evaluations:home", "chart"),
    ("Publish", "publishing:home", "hub"),
    ("Health", "system:health", "pulse"),
    ("Logs", "system:logs", "pulse"),
    ("Alerts", "system:alerts", "alert"),
)
"""What is done on a page of a section: label, URL name, icon."""


def entries(words: str, role: Role | None) -> list[Entry]:
    """Pages first, then what has ``words`` in its name; the newest of a kind first.

    Only what somebody with ``role`` may look at. Without words: the pages alone.
    """
    found = [*_pages(words, role)]
    if words:
        found += [*_models(words), *_conversations(words), *_datasets(words), *_trainings(words)]
    return found


def _pages(words: str, role: Role | None) -> Iterator[Entry]:
    pages = [(section.label, section.url_name, section.icon) for section in SECTIONS]
    for label, name, icon in (*_TASKS, *pages):
        if words.lower() in label.lower() and rule_named(name).lets(role, "GET"):
            yield Entry(label, "Page", icon, reverse(name))


def _models(words: str) -> Iterator[Entry]:
    for model in LocalModel.objects.matching(words)[:MOST]:
        if not model.embeds:
            chat = f"{reverse('playground:home')}?{urlencode({'model': model.slug})}"
            yield Entry(f"Chat with {model.name}", "Chat", "chat", chat)
        yield Entry(model.name, "Model", "cube", reverse("models:detail", args=[model.slug]))


def _conversations(words: str) -> Iterator[Entry]:
    for chat in Conversation.objects.filter(title__icontains=words)[:MOST]:
        yield Entry(chat.title, "Conversation", "chat", chat.get_absolute_url())


def _datasets(words: str) -> Iterator[Entry]:
    for dataset in Dataset.objects.filter(name__icontains=words).order_by("-pk")[:MOST]:
        yield Entry(dataset.name, "Dataset", "stack", dataset.get_absolute_url())


def _trainings(words: str) -> Iterator[Entry]:
    for job in TrainingJob.objects.filter(name__icontains=words).order_by("-pk")[:MOST]:
        yield Entry(job.name, "Training job", "branch", reverse("training:detail", args=[job.pk]))
