from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants
from pytest_django.fixtures import Settings

from apps.discovery import hub
from apps.discovery.downloads import place, tasks, watching
from apps.discovery.hub import transfer
from apps.discovery.snapshot import Snapshot
from apps.discovery.tests.catalogue import stock
from apps.discovery.tests.hub_search import Catalogue
from apps.discovery.tests.hub_server import HubServer
from apps.inference.engine.tests.tiny import write_tiny_model
from apps.inference.tests.conftest import call

__all__ = ["call"]

REPO = "acme/Tiny-Llama"
WEIGHTS = "model.safetensors"


def ignore(step: hub.Step) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A hub on the loopback; the library knows no other hub, no token and no proxy."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "no-tokens"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # Small enough that the tiny model's weights come in many pieces.
    monkeypatch.setattr(transfer, "PIECE", 4096)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 30)
    close_session()
    with HubServer() as server:
        yield server
        close_session()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken transfer is tried again at once instead of after a second."""
    monkeypatch.setattr(watching, "FIRST_WAIT", 0.0)


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a repository of a tiny model holds, and what it had better not."""
    folder = write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    return files | {
        "README.md": b"---\nlicense: apache-2.0\n---\n# Tiny\n",
        "LICENSE": b"Apache License\n",
        ".gitattributes": b"*.safetensors filter=lfs\n",
        "pytorch_model.bin": b"a pickle",
        "modeling_tiny.py": b"raise SystemExit\n",
        "onnx/model.onnx": b"another format",
        "original/model.safetensors": b"the same again",
    }


KEPT = {
    "README.md",
    "LICENSE",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture
def tiny_repo(hub_server: HubServer, tiny_files: dict[str, bytes]) -> dict[str, bytes]:
    """What ``REPO`` holds on the hub."""
    hub_server.add(REPO, tiny_files)
    return tiny_files


@pytest.fixture
def access(hub_server: HubServer) -> hub.Access:
    return hub.Access(endpoint=hub_server.endpoint)


@pytest.fixture
def snapshot(tiny_repo: dict[str, bytes], access: hub.Access) -> Snapshot:
    return hub.find(REPO, None, access)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a transfer puts its files."""
    path = tmp_path / "download"
    path.mkdir()
    return path


@pytest.fixture
def models_dir(hub_server: HubServer, tmp_path: Path, settings: Settings) -> Path:
    """An empty models folder of a hub that pulls from ``hub_server``."""
    settings.HUB = settings.HUB.model_copy(
        update={"home": tmp_path / "hub", "hf_endpoint": hub_server.endpoint, "hf_token": None}
    )
    folder = Path(settings.HUB.models_dir)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each time that the worker, which does not run here, was woken up."""
    calls: list[None] = []
    monkeypatch.setattr(tasks, "work_off_downloads", lambda: calls.append(None))
    return calls


@pytest.fixture(autouse=True)
def small_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of the machine that runs the tests decides nothing."""
    monkeypatch.setattr(place, "FREE_FLOOR_BYTES", 0)


@pytest.fixture
def catalogue(hub_server: HubServer, models_dir: Path, settings: Settings) -> Catalogue:
    """The hub of the settings finds models; what it answers is kept for this test alone."""
    hub_answers = {"hub": settings.CACHES["hub"] | {"LOCATION": models_dir.parent / "answers"}}
    settings.CACHES = settings.CACHES | hub_answers
    return stock(Catalogue(hub_server))
