"""The registry in Django's admin: what the files say of themselves is shown, not edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.models import deleting, services
from apps.models.errors import ModelInUse
from apps.models.models import Adapter, LocalModel
from apps.models.sizes import readable

_FACTS = (
    "path",
    "source",
    "digest",
    "kind",
    "knows_tools",
    "reasons",
    "architecture",
    "parameters",
    "quantization",
    "size_bytes",
    "context_length",
    "derived_from",
    "derivation",
    "verified_at",
    "damage",
    "created_at",
)
"""What the files say of themselves, and what became of them."""


@admin.register(LocalModel)
class LocalModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "name",
        "slug",
        "kind",
        "architecture",
        "quantization",
        "size",
        "source",
        "pinned",
        "created_at",
    )
    list_filter = ("kind", "source", "pinned", "architecture", "quantization", "license")
    search_fields = ("name", "slug", "alias", "repo_id", "digest", "path")
    readonly_fields = (
        "slug",  # names the model's folder, and callers know it
        *_FACTS,
    )

    fieldsets = (
        (None, {"fields": ("name", "slug", "license", "repo_id")}),
        ("Serving", {"fields": services.SERVING_FIELDS}),
        ("Defaults of calls", {"fields": services.DEFAULTS_FIELDS}),
        ("What the files say", {"fields": _FACTS}),
    )
    autocomplete_fields = ("draft",)

    def save_model(self, request: HttpRequest, obj: LocalModel, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        services.save_settings(model=obj)

    @admin.display(description="size", ordering="size_bytes")
    def size(self, model: LocalModel) -> str:
        return readable(model.size_bytes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a model comes from files, by download or import

    def has_delete_permission(self, request: HttpRequest, obj: LocalModel | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.adapters.exists())

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ModelInUse as error:
            self.message_user(request, str(error), messages.ERROR)
            return redirect("admin:models_localmodel_change", object_id)

    def delete_model(self, request: HttpRequest, obj: LocalModel) -> None:
        deleting.delete_model(model=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[LocalModel]) -> None:
        for model in queryset:
            try:
                deleting.delete_model(model=model)
            except ModelInUse as error:
                self.message_user(request, str(error), messages.ERROR)


@admin.register(Adapter)
class AdapterAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "base", "slug", "rank", "size", "created_at")
    list_filter = ("base",)
    list_select_related = ("base",)
    search_fields = ("name", "slug", "digest", "base__name", "base__slug")
    readonly_fields = ("base", "path", "digest", "rank", "size_bytes", "created_at")

    @admin.display(description="size", ordering="size_bytes")
    def size(self, adapter: Adapter) -> str:
        return readable(adapter.size_bytes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an adapter comes from a training job or a download

    def delete_model(self, request: HttpRequest, obj: Adapter) -> None:
        deleting.delete_adapter(adapter=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Adapter]) -> None:
        for adapter in queryset:
            deleting.delete_adapter(adapter=adapter)
