"""What the page, the REST API and the command line are asked for."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from apps.discovery.data.wanted import DataWanted
from apps.discovery.downloads.data_orders import MAX_ROWS, Choice
from apps.discovery.hub.searching import MAX_CURSOR

_SORTS = (
    ("trending", "Trending"),
    ("downloads", "Most downloaded"),
    ("likes", "Most liked"),
    ("newest", "Newest"),
)
_TASKS = (
    ("", "Any"),
    ("text-generation", "Text generation"),
    ("question-answering", "Question answering"),
    ("summarization", "Summarisation"),
    ("translation", "Translation"),
    ("text-classification", "Text classification"),
    ("reinforcement-learning", "Reinforcement learning"),
)
_SIZES = (
    ("", "Any"),
    ("n<1K", "Under 1,000"),
    ("1K<n<10K", "1,000 to 10,000"),
    ("10K<n<100K", "10,000 to 100,000"),
    ("100K<n<1M", "100,000 to 1 million"),
    ("1M<n<10M", "1 to 10 million"),
    ("10M<n<100M", "10 to 100 million"),
)
_TAG = re.compile(r"[\w.+-]+", re.ASCII)
_NAME = {"autocomplete": "off", "spellcheck": "false"}


class DataSearchForm(forms.Form):
    """Every field may be left out."""

    q = forms.CharField(label="Search", max_length=300, required=False)
    sort = forms.ChoiceField(choices=_SORTS, required=False)
    task = forms.ChoiceField(choices=_TASKS, required=False)
    size = forms.ChoiceField(label="Rows", choices=_SIZES, required=False)
    language = forms.CharField(max_length=60, required=False, widget=forms.TextInput(attrs=_NAME))
    license = forms.CharField(
        label="Licence", max_length=60, required=False, widget=forms.TextInput(attrs=_NAME)
    )
    gate = forms.ChoiceField(
        label="Access",
        choices=(("", "Any"), ("open", "Open"), ("gated", "Gated")),
        required=False,
    )
    cursor = forms.CharField(max_length=MAX_CURSOR, required=False)

    def clean_language(self) -> str:
        return _tag(self.cleaned_data["language"], "A language is a code like en.")

    def clean_license(self) -> str:
        return _tag(self.cleaned_data["license"], "A licence is a name like apache-2.0.")

    @property
    def wanted(self) -> DataWanted:
        """What a valid form asks for."""
        given = self.cleaned_data
        return DataWanted(
            words=given["q"].strip(),
            sort=given["sort"] or "trending",
            task=given["task"],
            language=given["language"],
            size=given["size"],
            license=given["license"],
            gate=given["gate"],
        )


class DataOrderForm(forms.Form):
    """Which splits of which configuration, under which name."""

    config = forms.CharField(max_length=300, required=False)
    split = forms.Field(required=False, widget=forms.MultipleHiddenInput)
    revision = forms.CharField(max_length=200, required=False)
    name = forms.CharField(
        label="Name here",
        max_length=100,
        required=False,
        help_text="Empty: as there.",
        widget=forms.TextInput(attrs=_NAME),
    )

    rows = forms.IntegerField(
        label="First rows of each split",
        min_value=1,
        max_value=MAX_ROWS,
        required=False,
        help_text="Empty: all. Only the files that hold them are downloaded.",
    )

    def clean_split(self) -> tuple[str, ...]:
        splits: list[Any] = self.cleaned_data["split"] or []
        if not splits:
            raise forms.ValidationError("Choose at least one split.")
        return tuple(map(str, splits))

    @property
    def choice(self) -> Choice:
        """What a valid form asks for."""
        given = self.cleaned_data
        return Choice(given["config"], given["split"], given["rows"])


def _tag(given: str, problem: str) -> str:
    tag = given.strip().lower()
    if tag and not _TAG.fullmatch(tag):
        raise forms.ValidationError(problem)
    return tag
