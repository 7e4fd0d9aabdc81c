"""Which entries are asked for: one form for the page and the REST API."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms

from apps.audit.models import AuditEntry, AuditEntryQuerySet


class AuditFilter(forms.Form):
    """Days are UTC, both ends included. What is left out is not filtered by."""

    q = forms.CharField(label="Search", required=False, max_length=200)
    outcome = forms.ChoiceField(
        required=False,
        choices=[("", "All"), *((each.value, each.label) for each in AuditEntry.Outcome)],
    )
    first = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    last = forms.DateField(
        label="To", required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("first") and cleaned.get("last") and cleaned["first"] > cleaned["last"]:
            raise forms.ValidationError("The first day is after the last one.")
        return cleaned

    def entries(self) -> AuditEntryQuerySet:
        """What a valid form asks for, the newest first."""
        wanted = self.cleaned_data
        found = AuditEntry.objects.matching(wanted["q"])
        if wanted["outcome"]:
            found = found.filter(outcome=wanted["outcome"])
        if wanted["first"]:
            found = found.filter(at__gte=datetime.combine(wanted["first"], time.min, UTC))
        if wanted["last"] and wanted["last"].year < 9999:
            day_after = wanted["last"] + timedelta(days=1)
            found = found.filter(at__lt=datetime.combine(day_after, time.min, UTC))
        return found
