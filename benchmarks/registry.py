"""A registry of 5,000 models: how long the server takes for the list, a search, a sort.

Server time: what this process computes from the request to the whole answer, all middleware
and the database included. No other process takes part, and what else the machine does
does not count.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import django
from django.core.management import call_command

from benchmarks.figures import Figure

if TYPE_CHECKING:
    from django.test import Client

MODELS = 5_000
LIMIT = 0.050
"""Seconds."""

ASKED = {
    "list": "/models/",
    "last page": "/models/?page=100",
    "search": "/models/?q=qwen-16",
    "search without a match": "/models/?q=no-such-model",
    "sort by name, descending": "/models/?sort=-name",
    "sort by size": "/models/?sort=-size_bytes",
    "sort by quantisation": "/models/?sort=quantization",
    "one kind, sorted": "/models/?kind=embedding&sort=parameters",
    "search and sort": "/models/?q=llama&sort=-context_length",
    "one model beside the list": "/models/family-12-model-1212/",
    "API, list": "/api/models?limit=50&sort=-size_bytes",
    "API, search": "/api/models?q=qwen-16",
}


def list_figures(rounds: int) -> Iterable[Figure]:
    """The median of four times ``rounds`` answers for each address."""
    with _registry() as client:
        for name, url in ASKED.items():
            client.get(url)
            times = [_seconds(client, url) for _ in range(4 * rounds)]
            yield Figure(
                f"{MODELS:,} models: {name}", statistics.median(times), LIMIT, "s", at_most=1.0
            )


def _seconds(client: Client, url: str) -> float:
    begun = time.process_time()
    response = client.get(url)
    taken = time.process_time() - begun
    assert response.status_code == 200, f"{url}: {response.status_code}"
    return taken


@contextmanager
def _registry() -> Iterator[Client]:
    """A browser of a hub that knows that many models; no other process runs."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"MLXHUB_HOME": home, "DJANGO_SETTINGS_MODULE": "mlxhub_site.settings"}
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        _fill()
        from django.test import Client

        yield Client(headers={"host": "127.0.0.1"})


def _fill() -> None:
    from apps.models.models import Adapter, LocalModel

    families = ("llama", "qwen", "family", "gemma", "mistral")
    LocalModel.objects.bulk_create(
        LocalModel(
            slug=f"{families[n % 5]}-{n % 50}-model-{n}",
            name=f"{families[n % 5].title()}-{n % 50} Model {n}",
            path=f"/models/{n}",
            source=LocalModel.Source.FOLDER,
            repo_id=f"owner-{n % 40}/{families[n % 5]}-{n % 50}-{n}",
            digest=f"sha256:{n:064x}",
            kind=list(LocalModel.Kind)[n % 3],
            architecture=families[n % 5],
            parameters=1_000_000 * (1 + n * 7919 % 70_000),
            quantization=("4-bit", "8-bit", "bfloat16", "mixed 3/6-bit")[n % 4],
            size_bytes=1_000_000 * (1 + n * 104_729 % 40_000),
            context_length=2048 * (1 + n % 64),
            files={f"model-{i:05d}.safetensors": {"size": n, "sha256": f"{i:064x}"} for i in range(8)},
            system_prompt="Answer briefly. " * 20,
        )
        for n in range(MODELS)
    )  # fmt: skip
    Adapter.objects.bulk_create(
        Adapter(base=base, slug=f"adapter-{i}", name=f"Adapter {i}", path="/a", digest="d")
        for base in LocalModel.objects.all()[:500]
        for i in range(3)
    )
