"""The form that makes a key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import Limits
from apps.models.models import LocalModel

_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency")


class KeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a new key may do. Nothing chosen among the models: all of them."""

    expires_days = forms.IntegerField(
        label="Expires after, days", min_value=1, max_value=36_500, required=False
    )
    models = forms.ModelMultipleChoiceField(
        LocalModel.objects.all(),
        label="Models",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: all models, also those that come later.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "note", "may_infer", "may_manage", *_LIMITS)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        self.fields["name"].widget.attrs["autocomplete"] = "off"
        for name in self.errors if self.is_bound else ():
            self.fields[name].widget.attrs["aria-invalid"] = "true"

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        """The fields that need not be filled in."""
        return [self[name] for name in (*_LIMITS, "expires_days")]

    @property
    def scope_fields(self) -> list[forms.BoundField]:
        return [self["may_infer"], self["may_manage"]]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not (cleaned.get("may_infer") or cleaned.get("may_manage")):
            self.add_error("may_infer", "A key is for inference, for management, or for both.")
        return cleaned

    @property
    def wanted(self) -> dict[str, Any]:
        """A valid form's contents, as services.create_key takes them."""
        cleaned = self.cleaned_data
        days = cleaned["expires_days"]
        return {
            "name": cleaned["name"],
            "note": cleaned["note"],
            "may_infer": cleaned["may_infer"],
            "may_manage": cleaned["may_manage"],
            "models": cleaned["models"],
            "limits": Limits(**{name: cleaned[name] for name in _LIMITS}),
            "expires_at": timezone.now() + timedelta(days=days) if days else None,
        }
