"""Which records are asked for: one form for the page, the exports and the REST API."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone

from apps.inference.keys.models import ApiKey
from apps.inference.usage.models import RequestRecord, RequestRecordQuerySet

DEFAULT_DAYS = 30

NO_KEY = "none"
"""The owner's own requests, in place of a key."""

_HOURLY_UP_TO = timedelta(days=3)

_SENSIBLE_DAYS = [MinValueValidator(date(2020, 1, 1)), MaxValueValidator(date(2199, 12, 31))]

OUTCOMES = (
    ("", "All"),
    ("ok", "Answered"),
    ("refused", "Refused (4xx)"),
    ("failed", "Failed (5xx)"),
    ("left", "Client left"),
)


class UsageFilter(forms.Form):
    """Days are UTC, both ends included. What is left out is not filtered by."""

    key = forms.ChoiceField(required=False)
    model = forms.CharField(required=False, max_length=320)
    first = forms.DateField(label="From", required=False, validators=_SENSIBLE_DAYS)
    last = forms.DateField(label="To", required=False, validators=_SENSIBLE_DAYS)
    status = forms.ChoiceField(choices=OUTCOMES, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        key = self.fields["key"]
        assert isinstance(key, forms.ChoiceField)
        names = ApiKey.objects.values_list("public_id", "name")
        key.choices = [("", "All"), (NO_KEY, "Without a key"), *names]

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("first") and cleaned.get("last") and cleaned["first"] > cleaned["last"]:
            raise forms.ValidationError("The first day is after the last one.")
        return cleaned

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day: those asked for, or the last DEFAULT_DAYS."""
        last = self.cleaned_data.get("last") or timezone.now().astimezone(UTC).date()
        first = self.cleaned_data.get("first") or last - timedelta(days=DEFAULT_DAYS - 1)
        return min(first, last), last

    @property
    def is_hourly(self) -> bool:
        """Whether the days are so few that their hours are of interest."""
        first, last = self.days
        return last - first < _HOURLY_UP_TO

    def records(self) -> RequestRecordQuerySet:
        """What a valid form asks for, the newest first."""
        first, last = self.days
        records = RequestRecord.objects.filter(
            created_at__gte=_midnight(first), created_at__lt=_midnight(last) + timedelta(days=1)
        )
        records = _of_key(records, self.cleaned_data["key"])
        model, colon, adapter = self.cleaned_data["model"].partition(":")
        if model:
            records = records.filter(model=model)
        if colon:
            records = records.filter(adapter=adapter)
        return _with_outcome(records, self.cleaned_data["status"])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _of_key(records: RequestRecordQuerySet, key: str) -> RequestRecordQuerySet:
    if key == NO_KEY:
        return records.filter(key=None)
    return records.filter(key__public_id=key) if key else records


def _with_outcome(records: RequestRecordQuerySet, outcome: str) -> RequestRecordQuerySet:
    match outcome:
        case "ok":
            return records.filter(status__lt=400, client_left=False)
        case "refused":
            return records.filter(status__gte=400, status__lt=500, client_left=False)
        case "failed":
            return records.filter(status__gte=500)
        case "left":
            return records.filter(client_left=True)
        case _:
            return records
