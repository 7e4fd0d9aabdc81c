"""Writes to the registry: registering and importing models.

None of these needs MLX, so web, worker and command line may all call them.
``gguf`` and ``tokenizers`` are imported inside the function that uses them:
every Django process imports this module, and few ever import a model.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from apps.audit.recording import record
from apps.models import landing
from apps.models.errors import InvalidName, NameTaken
from apps.models.models import SAMPLING_FIELDS, Adapter, LocalModel, validate_slug
from apps.models.naming import RESERVED
from apps.models.runtime.adapters import read_adapter
from apps.models.runtime.digest import digest_files, digest_of
from apps.models.runtime.inspect import inspect_model
from apps.models.signals import serving_changed

Progress = Callable[[str, float], None]
"""Called with what is being done and how far along it is, from 0.0 to 1.0."""


@dataclass(frozen=True)
class Lineage:
    """Which model of this hub another one was made from, and how."""

    parent: LocalModel
    how: str
    """In words, such as "4-bit"."""
    adapter: Adapter | None = None
    """The one that was fused into it."""


SERVING_FIELDS = ("alias", "pinned", "ttl_minutes", "draft")
"""What a model's row says of how the engine is to serve it."""

DEFAULTS_FIELDS = (*SAMPLING_FIELDS, "context_limit", "system_prompt")
"""What a model's row says of calls that leave it out."""


def register_folder(
    *,
    path: Path,
    slug: str,
    name: str,
    source: LocalModel.Source,
    repo_id: str = "",
    progress: Progress | None = None,
) -> LocalModel:
    """Enter the model folder ``path``, which stays where it is, or refresh its entry.

    Raises ModelFormatError where the folder holds no model, NameTaken where the
    slug names another folder, InvalidName.
    """
    path = path.absolute()
    require_free(slug, path)
    facts = _measured(path, progress)
    return _enter(path=path, slug=slug, name=name, source=source, repo_id=repo_id, facts=facts)


def register_adapter(
    *, base: LocalModel, path: Path, slug: str, name: str, parent: Adapter | None = None
) -> Adapter:
    """Enter the adapter in the folder ``path``, which stays where it is, or refresh its entry.

    ``parent``: the one that its training went on from, if there was one and it is still there.
    Raises AdapterFormatError where the folder holds none, or one for another base;
    NameTaken where the slug names another adapter over this base; InvalidName.
    """
    path = path.absolute()
    _require_valid(slug, "an adapter's")
    if Adapter.objects.named(base, slug).exclude(path=str(path)).exists():
        raise NameTaken(_adapter_taken(base, slug))
    folder = read_adapter(path)
    folder.require_base(Path(base.path))
    facts = {
        "name": name,
        "digest": folder.digest,
        "rank": folder.config.lora_parameters.rank,
        "size_bytes": len(folder.weights),
    }
    if parent is not None:
        facts["parent"] = parent
    try:
        adapter, _ = Adapter.objects.update_or_create(
            base=base, slug=slug, path=str(path), defaults=facts
        )
    except IntegrityError as error:
        raise NameTaken(_adapter_taken(base, slug)) from error
    return adapter


def import_gguf_model(
    *,
    source: Path,
    slug: str,
    name: str,
    kept_by: LocalModel.Source = LocalModel.Source.GGUF,
    repo_id: str = "",
    progress: Progress | None = None,
) -> LocalModel:
    """Convert a GGUF file into a model folder of the hub's own and register it.

    ``kept_by`` is the program whose file it is. Raises ModelFormatError,
    ImportDestinationError, NameTaken or InvalidName; then neither folder nor row is left.
    """
    require_free(slug, landing.home(slug))
    with landing.exclusive(slug):
        if LocalModel.objects.filter(slug=slug).exists():
            raise NameTaken(_taken(slug))
        require_vacant(slug)
        return adopt_gguf(
            source=source,
            slug=slug,
            name=name,
            kept_by=kept_by,
            repo_id=repo_id,
            progress=progress,
        )


def adopt_folder(
    *,
    files: Path,
    slug: str,
    name: str,
    source: LocalModel.Source,
    repo_id: str = "",
    lineage: Lineage | None = None,
    progress: Progress | None = None,
) -> LocalModel:
    """Register the finished folder ``files`` and move it to where the hub's own models lie.

    ``files`` is on the models folder's disk. Call it under ``landing.exclusive``. Raises
    ModelFormatError, NameTaken or InvalidName; then ``files`` lies where it was.
    """
    home = landing.home(slug)
    require_free(slug, home)
    facts = _measured(files, progress)
    if lineage is not None:
        facts |= {
            "derived_from": lineage.parent,
            "derived_adapter": lineage.adapter,
            "derivation": lineage.how,
        }
    try:
        # A kill before the commit leaves no row: at worst a whole folder at home.
        with transaction.atomic():
            model = _enter(
                path=home, slug=slug, name=name, source=source, repo_id=repo_id, facts=facts
            )
            files.rename(home)
    except BaseException:
        if home.exists() and not files.exists():
            home.rename(files)
        raise
    return model


def adopt_gguf(
    *,
    source: Path,
    slug: str,
    name: str,
    kept_by: LocalModel.Source,
    repo_id: str = "",
    progress: Progress | None = None,
) -> LocalModel:
    """Convert a GGUF file beside the registry, then let the folder and its row appear together.

    Call it under ``landing.exclusive``. Raises as ``import_gguf_model``.
    """
    from apps.models.runtime.gguf.importer import import_gguf

    waiting = landing.waiting(slug)
    import_gguf(source, waiting, progress)
    try:
        return adopt_folder(
            files=waiting, slug=slug, name=name, source=kept_by, repo_id=repo_id, progress=progress
        )
    except BaseException:
        shutil.rmtree(waiting, ignore_errors=True)
        raise


def save_settings(
    *, model: LocalModel, fields: Collection[str] = (*SERVING_FIELDS, *DEFAULTS_FIELDS)
) -> None:
    """Write how the model is served and what its calls get, and tell who serves it."""
    with transaction.atomic():
        model.save(update_fields=fields)
        record("model.settings", model, fields=", ".join(sorted(fields)))
    serving_changed.send(LocalModel, model=model)


def _measured(files: Path, progress: Progress | None) -> dict[str, Any]:
    """What the row of the model in ``files`` says of its contents. Reads all of them."""
    report = progress or (lambda stage, fraction: None)
    facts = inspect_model(files)
    digests = digest_files(files, lambda done: report("computing the digest", done))
    return {
        "digest": digest_of(digests),
        "files": {name: asdict(file) for name, file in digests.items()},
        "verified_at": timezone.now(),
        "damage": "",
        "architecture": facts.architecture,
        "parameters": facts.parameters,
        "quantization": facts.quantization,
        "size_bytes": facts.size_bytes,
        "context_length": facts.context_length,
        "license": facts.license,
        "kind": facts.kind,
        "knows_tools": facts.knows_tools,
        "reasons": facts.reasons,
        "base_repo_id": facts.base_repo_id,
        "recommended": facts.recommended,
    }


def _enter(
    *,
    path: Path,
    slug: str,
    name: str,
    source: LocalModel.Source,
    repo_id: str,
    facts: dict[str, Any],
) -> LocalModel:
    """Write the row, or refresh the one that has this slug and path."""
    defaults = {"name": name, "source": source, "repo_id": repo_id, **facts}
    try:
        model, _ = LocalModel.objects.update_or_create(slug=slug, path=str(path), defaults=defaults)
    except IntegrityError as error:
        raise NameTaken(_taken(slug)) from error
    return model


def require_free(slug: str, path: Path) -> None:
    """Raises InvalidName for a malformed slug, NameTaken for one of another folder's."""
    _require_valid(slug, "a model's")
    if slug in RESERVED:
        raise InvalidName(f"{slug!r} is an address of the hub's own. Choose another name.")
    others = LocalModel.objects.exclude(path=str(path))
    if others.filter(Q(slug=slug) | Q(alias=slug)).exists():
        raise NameTaken(_taken(slug))


def _require_valid(slug: str, whose: str) -> None:
    try:
        validate_slug(slug)
    except ValidationError as error:
        raise InvalidName(f"{slug!r} can't be {whose} name. {error.messages[0]}") from error


def require_vacant(slug: str) -> None:
    """Raises NameTaken where an unregistered folder lies in the place of ``slug``'s own."""
    home = landing.home(slug)
    if home.exists():
        raise NameTaken(
            f"{home} exists already and is not registered. If it holds a model, "
            f"`mlx-hub import {home} --name {slug}` registers it; else remove it, "
            "or choose another name with --name."
        )


def _taken(slug: str) -> str:
    return (
        f"A model named {slug!r} exists already. Choose another name, or delete that model first."
    )


def _adapter_taken(base: LocalModel, slug: str) -> str:
    return (
        f"An adapter named {slug!r} over {base.name} exists already. Choose another name, or "
        "delete that adapter first."
    )
