"""API keys in Django's admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.template.defaultfilters import pluralize

from apps.inference.keys.models import ApiKey
from apps.inference.keys.secret import new_key


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Keys are made, limited and revoked here. What was made is shown once, above the list."""

    list_display = (
        "name",
        "shown",
        "state",
        "may_infer",
        "may_manage",
        "requests_per_minute",
        "tokens_per_minute",
        "concurrency",
        "expires_at",
        "last_used_at",
        "note",
    )
    list_filter = ("may_infer", "may_manage")
    search_fields = ("name", "note", "public_id")
    filter_horizontal = ("allowed_models",)
    readonly_fields = ("shown", "state", "created_at", "last_used_at", "revoked_at")
    actions = ("revoke",)

    @admin.display(description="key")
    def shown(self, key: ApiKey) -> str:
        return key.shown if key.pk else "shown once it is saved"

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        return key.state

    def save_model(
        self, request: HttpRequest, obj: ApiKey, form: ModelForm[ApiKey], change: bool
    ) -> None:
        if not change:
            made = new_key()
            obj.public_id, obj.digest = made.public_id, made.digest
            told = f"The key is {made.text} Keep it now: it can't be shown again."
            self.message_user(request, told, messages.WARNING)
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        key = form.instance
        if key.allowed_models.exists() and not key.only_listed_models:
            # Whoever lists models means them.
            key.only_listed_models = True
            key.save(update_fields=["only_listed_models"])

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys:
            key.revoke()
        count = len(keys)
        self.message_user(request, f"Revoked: {count} key{pluralize(count)}.", messages.SUCCESS)
