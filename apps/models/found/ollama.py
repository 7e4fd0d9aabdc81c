"""Ollama's store: manifests by name, and the blobs they list by digest.

``manifests/REGISTRY/NAMESPACE/MODEL/TAG`` is a Docker image manifest; its layer of the
type ``application/vnd.ollama.image.model`` is a GGUF file, ``blobs/sha256-DIGEST``.
Source: manifest/manifest.go and manifest/layer.go of the ollama sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from apps.models.found.finds import Find, look_at_gguf
from apps.models.found.folders import is_file, models_in
from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.headers import read_json

MAX_MANIFEST_BYTES = 1024 * 1024

_MODEL = "application/vnd.ollama.image.model"
_ADAPTER = "application/vnd.ollama.image.adapter"
_DIGEST = re.compile(r"sha256:(?P<hex>[0-9a-f]{64})")
_OWN = ("registry.ollama.ai", "library")
"""Registry and namespace that Ollama itself leaves out of a name."""


def find_ollama(root: Path) -> Iterator[Find]:
    """The models in Ollama's store ``root``."""
    for registry in models_in(root / "manifests"):
        for namespace in models_in(registry):
            for model in models_in(namespace):
                for manifest in _manifests(model):
                    yield _find(root, manifest)


def _manifests(model: Path) -> list[Path]:
    return sorted(
        tag
        for tag in model.iterdir()
        if tag.is_file() and not tag.is_symlink() and not tag.name.startswith(".")
    )


def _find(root: Path, manifest: Path) -> Find:
    name = _name(manifest)
    try:
        blob = _blob(root, manifest)
    except ModelFormatError as error:
        return Find("Ollama", name, manifest, 0, "", str(error))
    look = look_at_gguf(blob)
    return Find("Ollama", name, blob, look.size_bytes, look.detail, look.problem)


def _name(manifest: Path) -> str:
    """The name as Ollama prints it: "llama3.2:1b", or with registry and namespace."""
    *where, model, tag = manifest.parts[-4:]
    if where[0] == _OWN[0]:
        where = where[1:] if where[1] != _OWN[1] else []
    return f"{'/'.join([*where, model])}:{tag}"


def _blob(root: Path, manifest: Path) -> Path:
    """The GGUF file that a manifest lists. Raises ModelFormatError.

    Ollama writes a digest with a dash in its file's name; nothing else of the
    manifest becomes part of a path.
    """
    layers = read_json(manifest, MAX_MANIFEST_BYTES).get("layers")
    digests: dict[str, list[str]] = {_MODEL: [], _ADAPTER: []}
    for layer in layers if isinstance(layers, list) else []:
        kind, digest = (
            (str(layer.get("mediaType")), _DIGEST.fullmatch(str(layer.get("digest"))))
            if isinstance(layer, dict)
            else ("", None)
        )
        if digest is not None and kind in digests:
            digests[kind].append(digest["hex"])
    if len(digests[_MODEL]) != 1 or digests[_ADAPTER]:
        raise ModelFormatError(
            "Its manifest does not list one model alone: it runs elsewhere, has an adapter, or is "
            "of another format. Look for the model on Hugging Face."
        )
    blob = root / "blobs" / f"sha256-{digests[_MODEL][0]}"
    if not is_file(blob) or blob.is_symlink():
        raise ModelFormatError("Its weights are not in Ollama's store. Pull it again with Ollama.")
    return blob
