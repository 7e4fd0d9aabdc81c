"""Models over REST, at /api/models: list, show, set, delete, and what takes space."""

from __future__ import annotations

from typing import Annotated

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from ninja import Query, Router, Status

from apps.inference.api.errors import ErrorResponse
from apps.inference.keys.caller import permitted
from apps.inference.registry.problems import BadModelSetting, LeftoverNotFound
from apps.inference.registry.schemas import (
    DeletionOut,
    DiskOut,
    Kind,
    ModelDetail,
    ModelList,
    ModelPatch,
    ModelSummary,
    Sort,
)
from apps.inference.services import ModelNotFound, find_model
from apps.models import deleting, services
from apps.models.consequences import deletion_of
from apps.models.disk import leftovers
from apps.models.disk.usage import disk_usage
from apps.models.listing import Wish, wanted
from apps.models.models import Adapter, LocalModel

router = Router(tags=["Models"])

Offset = Annotated[int, Query(ge=0, le=10**9)]


@router.get("/models", response=ModelList, summary="List models")
def list_models(
    request: HttpRequest,
    q: Annotated[str, Query(max_length=200, description="Part of a name or repository.")] = "",
    kind: Annotated[Kind | None, Query(description="Only these.")] = None,
    sort: Annotated[Sort, Query(description="A dash turns it round.")] = "name",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Offset = 0,
) -> ModelList:
    """The models of this hub, a page at a time."""
    models = permitted(wanted(Wish(search=q.strip(), kind=kind or "", sort=sort)))
    page = models[offset : offset + limit]
    return ModelList(models=[ModelSummary.of(model) for model in page], total=models.count())


@router.get("/disk", response=DiskOut, summary="What takes space on the disk", tags=["Disk"])
def get_disk(request: HttpRequest) -> DiskOut:
    """The data folder by what it is for, each model, and what is safe to remove."""
    return DiskOut.of(disk_usage())


@router.delete(
    "/disk/leftovers/{str:name}",
    response={204: None, (404, 409): ErrorResponse},
    summary="Remove a leftover",
    tags=["Disk"],
)
def remove_leftover(request: HttpRequest, name: str) -> Status[None]:
    """Removes a folder that nobody uses, as `/api/disk` names it."""
    if not any(each.name == name for each in leftovers.leftovers()):
        raise LeftoverNotFound(
            f"Nothing is left over by the name {name!r}. GET /api/disk lists it."
        )
    leftovers.remove(name)
    return Status(204, None)


@router.get(
    "/models/{str:slug}",
    response={200: ModelDetail, 404: ErrorResponse},
    summary="One model",
)
def get_model(request: HttpRequest, slug: str) -> ModelDetail:
    """By its name or alias: what it is, where it comes from, how it is served."""
    return ModelDetail.of(model_named(slug))


@router.patch(
    "/models/{str:slug}",
    response={200: ModelDetail, (400, 404): ErrorResponse},
    summary="Set how a model is served, and its defaults",
)
def patch_model(request: HttpRequest, slug: str, payload: ModelPatch) -> ModelDetail:
    """What is left out stays as it is; null empties."""
    model = model_named(slug)
    for name in payload.model_fields_set - {"draft"}:
        setattr(model, name, getattr(payload, name))
    if "draft" in payload.model_fields_set:
        model.draft = model_named(payload.draft) if payload.draft else None
    model.alias = model.alias or None
    try:
        model.full_clean()
    except ValidationError as error:
        field, problems = next(iter(error.message_dict.items()))
        raise BadModelSetting(problems[0], param=None if field == "__all__" else field) from error
    services.save_settings(model=model)
    return ModelDetail.of(model)


@router.get(
    "/models/{str:slug}/deletion",
    response={200: DeletionOut, 404: ErrorResponse},
    summary="What deleting a model would take along",
)
def preview_deletion(request: HttpRequest, slug: str) -> DeletionOut:
    """Consequences in words, and the bytes freed."""
    return DeletionOut.of(deletion_of(model_named(slug)))


@router.delete(
    "/models/{str:slug}",
    response={204: None, (404, 409): ErrorResponse},
    summary="Delete a model",
)
def delete_model(request: HttpRequest, slug: str) -> Status[None]:
    """Its row, and its files where they are the hub's own. A loaded one is unloaded first."""
    deleting.delete_model(model=model_named(slug))
    return Status(204, None)


@router.get(
    "/models/{str:slug}/adapters/{str:adapter_slug}/deletion",
    response={200: DeletionOut, 404: ErrorResponse},
    summary="What deleting an adapter would take along",
)
def preview_adapter_deletion(request: HttpRequest, slug: str, adapter_slug: str) -> DeletionOut:
    """Consequences in words, and the bytes freed."""
    model = model_named(slug)
    return DeletionOut.of(deletion_of(model, adapter_named(model, adapter_slug)))


@router.delete(
    "/models/{str:slug}/adapters/{str:adapter_slug}",
    response={204: None, (404, 409): ErrorResponse},
    summary="Delete an adapter",
)
def delete_adapter(request: HttpRequest, slug: str, adapter_slug: str) -> Status[None]:
    """Its row, and its files where they are the hub's own."""
    deleting.delete_adapter(adapter=adapter_named(model_named(slug), adapter_slug))
    return Status(204, None)


def model_named(name: str) -> LocalModel:
    """The model of this name or alias, whatever adapter is named too. Raises ModelNotFound."""
    return find_model(name.partition(":")[0]).model


def adapter_named(model: LocalModel, slug: str) -> Adapter:
    """The adapter over ``model``. Raises ModelNotFound."""
    adapter = Adapter.objects.named(model, slug).select_related("base").first()
    if adapter is None:
        raise ModelNotFound(
            f"{model.slug} has no adapter {slug!r}. GET /api/models/{model.slug} lists what it has."
        )
    return adapter
