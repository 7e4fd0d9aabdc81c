"""Forms of the Alerts page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from apps.outgoing.addresses import target_of
from apps.outgoing.errors import BadTarget
from apps.system.alerts.conditions import Kind


class RuleForm(forms.Form):
    """Whether a rule is in force, and from when it fires."""

    enabled = forms.BooleanField(required=False)
    threshold = forms.FloatField(required=False, min_value=0)

    def __init__(self, kind: Kind, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind

    def clean_threshold(self) -> float | None:
        """Only where the rule has one, and no more than makes sense."""
        threshold: float | None = self.cleaned_data["threshold"]
        if not self.kind.unit:
            return None
        if threshold is not None and threshold > self.kind.most:
            raise forms.ValidationError(f"At most {self.kind.most:,.0f} {self.kind.unit}.")
        return threshold

    @property
    def problem(self) -> str:
        """The errors in one sentence each."""
        return " ".join(str(error) for errors in self.errors.values() for error in errors)


class WebhookForm(forms.Form):
    """An address to tell of alerts."""

    url = forms.CharField(
        label="Address",
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/hook"}),
        help_text="It gets a signed POST of JSON when an alert begins or ends.",
    )

    def clean_url(self) -> str:
        """Only what the hub may call."""
        url: str = self.cleaned_data["url"].strip()
        try:
            target_of(url, allow_private=not settings.HUB.is_open)
        except BadTarget as error:
            raise forms.ValidationError(str(error)) from error
        return url
