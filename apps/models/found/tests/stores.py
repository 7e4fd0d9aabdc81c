"""What other programs' folders look like, in small."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from apps.models.runtime.tests.folders import write_folder
from apps.models.runtime.tests.tiny import TinyModel, write_gguf

COMMIT = "0123456789abcdef0123456789abcdef01234567"  # pragma: allowlist secret
LLAMA = {"a.weight": ("F32", [4])}


def hf_repository(root: Path, repo_id: str, commit: str = COMMIT, **config: Any) -> Path:
    """A repository in Hugging Face's cache with an MLX model; its snapshot."""
    repository = root / f"models--{repo_id.replace('/', '--')}"
    blobs, snapshot = repository / "blobs", repository / "snapshots" / commit
    write_folder(blobs, LLAMA, config)
    snapshot.mkdir(parents=True)
    for file in list(blobs.iterdir()):
        blob = file.rename(blobs / hashlib.sha256(file.name.encode()).hexdigest())
        (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return snapshot


def lm_studio_folder(root: Path, repo_id: str, **config: Any) -> Path:
    """A repository of LM Studio's with an MLX model."""
    return write_folder(root / repo_id, LLAMA, config)


def gguf_file(path: Path, **fields: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_gguf(path, TinyModel(**fields))
    return path


def ollama_model(
    root: Path, name: str = "registry.ollama.ai/library/tiny/1b", **fields: Any
) -> Path:
    """A model in Ollama's store with its manifest; its blob."""
    blobs = root / "blobs"
    made = gguf_file(blobs / "made", **fields)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    layers = [
        {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "1" * 64},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"},
    ]
    manifest(root, name, layers)
    return made.rename(blobs / f"sha256-{digest}")


def manifest(root: Path, name: str, layers: Any) -> Path:
    path = root / "manifests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return path
