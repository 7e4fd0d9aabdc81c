"""The registry in Django's admin: what the files say of themselves is shown, not edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat

from apps.models import services
from apps.models.models import Adapter, LocalModel


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
        "path",
        "source",
        "digest",
        "kind",
        "knows_tools",
        "architecture",
        "parameters",
        "quantization",
        "size_bytes",
        "context_length",
        "created_at",
    )

    fieldsets = (
        (None, {"fields": ("name", "slug", "license", "repo_id")}),
        ("Serving", {"fields": services.SERVING_FIELDS}),
        (
            "What the files say",
            {
                "fields": (
                    "path",
                    "source",
                    "digest",
                    "kind",
                    "knows_tools",
                    "architecture",
                    "parameters",
                    "quantization",
                    "size_bytes",
                    "context_length",
                    "created_at",
                )
            },
        ),
    )
    autocomplete_fields = ("draft",)

    def save_model(self, request: HttpRequest, obj: LocalModel, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        services.save_serving(model=obj)

    @admin.display(description="size", ordering="size_bytes")
    def size(self, model: LocalModel) -> str:
        return filesizeformat(model.size_bytes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a model comes from files, by download or import

    def has_delete_permission(self, request: HttpRequest, obj: LocalModel | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.adapters.exists())

    def delete_model(self, request: HttpRequest, obj: LocalModel) -> None:
        services.delete_model(model=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[LocalModel]) -> None:
        for model in queryset:
            services.delete_model(model=model)


@admin.register(Adapter)
class AdapterAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "base", "slug", "rank", "size", "created_at")
    list_filter = ("base",)
    list_select_related = ("base",)
    search_fields = ("name", "slug", "digest", "base__name", "base__slug")
    readonly_fields = ("base", "path", "digest", "rank", "size_bytes", "created_at")

    @admin.display(description="size", ordering="size_bytes")
    def size(self, adapter: Adapter) -> str:
        return filesizeformat(adapter.size_bytes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an adapter comes from a training job or a download
