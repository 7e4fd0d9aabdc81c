"""The prompt cache and the warm prompts in Django's admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat, pluralize

from apps.inference import services
from apps.inference.client import EngineError
from apps.inference.models import PromptCacheEntry, WarmPrompt
from apps.inference.tasks import queue_warming

_REFRESH_SECONDS = 2
"""How often the list of warm prompts is read anew while one is being warmed."""


@admin.register(PromptCacheEntry)
class PromptCacheEntryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The engine's prompt cache, read anew whenever the list is opened."""

    list_display = (
        "preview_start",
        "model",
        "kind",
        "tokens",
        "size",
        "hits",
        "pinned",
        "in_memory",
        "on_disk",
        "last_used_at",
    )
    list_filter = ("model", "kind", "pinned", "in_memory", "on_disk")
    search_fields = ("preview", "model")
    actions = ("evict", "pin", "unpin")

    @admin.display(description="prompt", ordering="preview")
    def preview_start(self, entry: PromptCacheEntry) -> str:
        return entry.preview[:80] or entry.id

    @admin.display(description="size", ordering="bytes")
    def size(self, entry: PromptCacheEntry) -> str:
        return filesizeformat(entry.bytes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: PromptCacheEntry | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: PromptCacheEntry | None = None
    ) -> bool:
        # Deleting the row would leave the engine's entry; "Evict" drops both.
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            services.sync_cache_entries()
        except EngineError as error:
            self.message_user(
                request, f"{error.message} The list shows what was known last.", messages.WARNING
            )
        return super().changelist_view(request, extra_context)

    @admin.action(description="Evict from memory and disk", permissions=["view"])
    def evict(self, request: HttpRequest, entries: QuerySet[PromptCacheEntry]) -> None:
        self._each(request, entries, "Evicted", lambda entry: services.evict(entry_id=entry.id))

    @admin.action(description="Pin: keep from eviction", permissions=["view"])
    def pin(self, request: HttpRequest, entries: QuerySet[PromptCacheEntry]) -> None:
        self._each(
            request, entries, "Pinned", lambda entry: services.pin(entry_id=entry.id, pinned=True)
        )

    @admin.action(description="Unpin", permissions=["view"])
    def unpin(self, request: HttpRequest, entries: QuerySet[PromptCacheEntry]) -> None:
        self._each(
            request,
            entries,
            "Unpinned",
            lambda entry: services.pin(entry_id=entry.id, pinned=False),
        )

    def _each(
        self,
        request: HttpRequest,
        entries: QuerySet[PromptCacheEntry],
        done: str,
        act: Callable[[PromptCacheEntry], object],
    ) -> None:
        """Act on each entry; one that fails is named and does not stop the others."""
        succeeded = 0
        for entry in list(entries):
            try:
                act(entry)
            except EngineError as error:
                self.message_user(request, f"{entry}: {error.message}", messages.ERROR)
            else:
                succeeded += 1
        if succeeded:
            self.message_user(request, f"{done}: {succeeded}.", messages.SUCCESS)


@admin.register(WarmPrompt)
class WarmPromptAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """System prompts that are computed ahead of the first chat."""

    list_display = (
        "name",
        "model",
        "adapter",
        "pinned",
        "enabled",
        "progress",
        "last_warmed_at",
        "last_error",
    )
    list_filter = ("model", "enabled", "state")
    list_select_related = ("model", "adapter__base")
    search_fields = ("name", "system_prompt")
    readonly_fields = ("progress", "last_warmed_at", "last_error")
    actions = ("warm_now",)

    @admin.display(description="state", ordering="state")
    def progress(self, prompt: WarmPrompt) -> str:
        return prompt.progress

    def save_model(self, request: HttpRequest, obj: WarmPrompt, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and {"model", "adapter", "system_prompt", "pinned"} & set(form.changed_data):
            obj.forget_warming()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        if request.method == "GET" and WarmPrompt.objects.in_progress().exists():
            response["Refresh"] = str(_REFRESH_SECONDS)
        return response

    @admin.action(description="Warm now", permissions=["change"])
    def warm_now(self, request: HttpRequest, prompts: QuerySet[WarmPrompt]) -> None:
        asked = queue_warming(prompts=WarmPrompt.objects.filter(pk__in=prompts.values("pk")))
        self.message_user(
            request,
            f"The worker warms {asked} prompt{pluralize(asked)}; the list shows how far it is.",
            messages.SUCCESS,
        )
