"""The form that makes a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from apps.inference.keys.endpoints import Endpoints, Rates
from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import Limits
from apps.models.models import LocalModel

_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency")


@dataclass(frozen=True)
class EndpointFields:
    """The fields for the limits of one group of endpoints."""

    group: Endpoints
    fields: list[forms.BoundField]


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
        for group in Endpoints:
            for rate, label in _rates_of(group):
                self.fields[_name(group, rate)] = forms.IntegerField(
                    label=label, min_value=1, required=False
                )
        self.fields["name"].widget.attrs["autocomplete"] = "off"
        for name in self.errors if self.is_bound else ():
            self.fields[name].widget.attrs["aria-invalid"] = "true"

    @property
    def limit_fields(self) -> list[forms.BoundField]:
        """The fields that need not be filled in."""
        return [self[name] for name in (*_LIMITS, "expires_days")]

    @property
    def endpoint_fields(self) -> list[EndpointFields]:
        """The same for each group of endpoints."""
        return [
            EndpointFields(group, [self[_name(group, rate)] for rate, _ in _rates_of(group)])
            for group in Endpoints
        ]

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
        limits = {name: cleaned[name] for name in _LIMITS}
        return {
            "name": cleaned["name"],
            "note": cleaned["note"],
            "may_infer": cleaned["may_infer"],
            "may_manage": cleaned["may_manage"],
            "models": cleaned["models"],
            "limits": Limits(**limits, endpoints=_endpoint_limits(cleaned)),
            "expires_at": timezone.now() + timedelta(days=days) if days else None,
        }


def _rates_of(group: Endpoints) -> list[tuple[str, str]]:
    """The limits that a group may have: their names in Rates, and as the page calls them."""
    rates = [("requests_per_minute", "Requests/min")]
    if group.has_tokens:
        rates.append(("tokens_per_minute", "Tokens/min"))
    return rates


def _name(group: Endpoints, rate: str) -> str:
    return f"{group}_{rate}"


def _endpoint_limits(cleaned: Mapping[str, Any]) -> dict[Endpoints, Rates]:
    return {
        group: Rates(**{rate: cleaned[_name(group, rate)] for rate, _ in _rates_of(group)})
        for group in Endpoints
    }
