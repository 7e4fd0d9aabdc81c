"""What to look for in the logs, from an address."""

from __future__ import annotations

from django import forms

from apps.observability.lines import LEVELS
from apps.system.logs.reading import PROCESSES, Search


class LogSearch(forms.Form):
    """Every field may be empty."""

    process = forms.ChoiceField(
        choices=(("", "All"), *((name, name.title()) for name in PROCESSES)), required=False
    )
    level = forms.ChoiceField(
        choices=(("", "All"), *((name, name.title()) for name in LEVELS[1:4])),
        label="From level",
        required=False,
    )
    text = forms.CharField(max_length=200, required=False, label="Text")
    id = forms.CharField(max_length=200, required=False, label="Request, job or run")
    before = forms.DateTimeField(required=False)
    after = forms.DateTimeField(required=False)

    @property
    def search(self) -> Search:
        """What was asked for; everything where that makes no sense."""
        return Search(**self.cleaned_data) if self.is_valid() else Search()
