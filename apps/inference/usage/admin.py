"""Usage records in Django's admin: to read, and to delete."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from apps.inference.usage.models import RequestRecord


@admin.register(RequestRecord)
class RequestRecordAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "created_at",
        "key",
        "model",
        "adapter",
        "endpoint",
        "status",
        "prompt_tokens",
        "completion_tokens",
        "duration",
    )
    list_filter = ("key", "model", "endpoint", "status", "streamed", "client_left")
    list_select_related = ("key",)
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: RequestRecord | None = None) -> bool:
        return False
