"""What a person may order, checked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.http import QueryDict

from apps.datasets.change_schemas import MAX_SEED
from apps.datasets.formats.checks import DESCRIPTIONS, Problem
from apps.datasets.formats.conditions import Condition
from apps.datasets.formats.errors import BadMapping
from apps.datasets.formats.languages import CODE
from apps.datasets.formats.personal import EVERY, LABELS, Personal
from apps.datasets.formats.reading.source import SUFFIXES
from apps.datasets.formats.reading.syntax import syntax_in_words
from apps.datasets.models import Dataset
from apps.datasets.orders import DEFAULT_LIMIT
from apps.models.models import LocalModel

PASTED_CHARACTERS = 5_000_000
MAX_SELECTED = 1_000
"""Rows that one form may name; a table shows 50."""

_TOO_LONG = (
    f"At most {PASTED_CHARACTERS:,} characters can be pasted, and these are %(show_value)s. Save "
    "them as a file and upload that."
)
_PLAIN = {"autocomplete": "off", "spellcheck": "false"}

F = TypeVar("F", bound=forms.Form)


def at_first_error(form: F) -> F:
    """The form, so that its page opens where the first thing is to be corrected."""
    wrong = [name for name in form.fields if form.is_bound and name in form.errors]
    if wrong:
        form.fields[wrong[0]].widget.attrs["autofocus"] = True
    return form


class ImportForm(forms.Form):
    """A file or folder on the hub's machine."""

    path = forms.CharField(
        label="Path",
        max_length=1000,
        help_text=f"A folder, or a file: {', '.join(SUFFIXES)}; texts also as .gz or .zst.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    name = forms.CharField(
        label="Name here",
        max_length=100,
        required=False,
        help_text="Empty: as the file or folder is called.",
        widget=forms.TextInput(attrs=_PLAIN),
    )

    def clean_path(self) -> Path:
        path = Path(self.cleaned_data["path"].strip())
        try:
            path = path.expanduser()
        except RuntimeError:  # ~somebody, who has no home here
            path = Path()
        if not path.is_absolute():
            raise ValidationError("Give the full path, from / or ~ on.")
        if not os.path.exists(path):  # noqa: PTH110 - also of names that no file can have
            raise ValidationError("There is no file or folder. Check the path.")
        return path


class PasteForm(forms.Form):
    """Rows as text."""

    text = forms.CharField(
        label="Rows",
        # No max_length: a browser would cut what is pasted, and say nothing.
        validators=[MaxLengthValidator(PASTED_CHARACTERS, _TOO_LONG)],
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
    )
    format = forms.ChoiceField(
        label="Format",
        choices=((".jsonl", "JSON Lines"), (".json", "JSON"), (".csv", "CSV"), (".txt", "Text")),
    )
    paste_name = forms.CharField(
        label="Name", max_length=100, initial="Pasted", widget=forms.TextInput(attrs=_PLAIN)
    )
    leave_out = forms.BooleanField(label="Leave out what can't be read", required=False)


class UploadForm(forms.Form):
    """A file that the browser is about to send."""

    name = forms.CharField(max_length=400)
    size = forms.IntegerField(min_value=0, max_value=1 << 50)


def _seed() -> forms.IntegerField:
    return forms.IntegerField(
        label="Seed",
        min_value=0,
        max_value=MAX_SEED,
        initial=0,
        help_text="Any number: the same one draws the same rows again.",
    )


class SplitForm(forms.Form):
    """How to divide the rows."""

    valid = forms.IntegerField(label="Validation, %", min_value=0, max_value=50, initial=10)
    test = forms.IntegerField(label="Test, %", min_value=0, max_value=40, initial=0)
    seed = _seed()
    group_by = forms.CharField(
        label="Keep together by",
        max_length=200,
        required=False,
        help_text="A column: rows that agree in it lie in one split.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    stratify_by = forms.CharField(
        label="Same shares by",
        max_length=200,
        required=False,
        help_text="A column: each of its values is divided alike.",
        widget=forms.TextInput(attrs=_PLAIN),
    )

    def plan(self) -> dict[str, Any]:
        """The order, with fractions."""
        values = self.cleaned_data
        return values | {"valid": values["valid"] / 100, "test": values["test"] / 100}


class SampleForm(forms.Form):
    """How many training rows to keep; 0 for all of them, shuffled."""

    rows = forms.IntegerField(
        label="Training rows", min_value=0, max_value=10**9, initial=0, help_text="0: all of them."
    )
    seed = _seed()


class SelectionForm(forms.Form):
    """Rows that are chosen together: by their numbers, or by what is so about them."""

    row = forms.TypedMultipleChoiceField(required=False, coerce=int)
    problem = forms.MultipleChoiceField(
        required=False,
        choices=[(bit.name, said.label) for bit, said in DESCRIPTIONS.items()],
    )
    personal = forms.MultipleChoiceField(
        required=False, choices=[(bit.name, label) for bit, label in LABELS.items()]
    )
    language = forms.MultipleChoiceField(required=False)
    longer_than = forms.IntegerField(required=False, min_value=1, max_value=10**7)
    where = forms.CharField(
        label="Rows where",
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs=_PLAIN | {"placeholder": "topic = maths", "required": True}),
    )

    def __init__(self, *args: Any, rows: int, **kwargs: Any) -> None:
        """``rows``: how many the version has."""
        super().__init__(*args, **kwargs)
        given: QueryDict = self.data  # type: ignore[assignment]
        self._allow(
            "row", [each for each in given.getlist("row")[:MAX_SELECTED] if _below(each, rows)]
        )
        self._allow("language", list(filter(CODE.fullmatch, given.getlist("language"))))

    def _allow(self, field: str, values: list[str]) -> None:
        self.fields[field].choices = [(each, each) for each in values]  # type: ignore[attr-defined]

    def clean_where(self) -> list[list[str]]:
        text = self.cleaned_data["where"]
        try:
            return [Condition.of_text(text).as_json()] if text else []
        except BadMapping as error:
            raise ValidationError(str(error)) from error

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not any(cleaned.values()):
            raise ValidationError("Choose at least one kind, or a row.")
        return cleaned

    def plan(self) -> dict[str, Any]:
        """The order, as formats.selection.Selection takes it."""
        values = self.cleaned_data
        return {
            "rows": values["row"],
            "problems": sum(int(Problem[name]) for name in values["problem"]),
            "personal": sum(int(Personal[name]) for name in values["personal"]),
            "languages": values["language"],
            "longer_than": values["longer_than"] or 0,
            "where": values["where"],
        }


def _below(text: str, rows: int) -> bool:
    return text.isdecimal() and len(text) < 12 and int(text) < rows


class MaskForm(SelectionForm):
    """Kinds of personal data to mask, everywhere or in the rows that are named."""

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not (cleaned.get("row") or cleaned.get("personal")):
            raise ValidationError("Choose at least one kind of personal data, or a row.")
        return cleaned

    def plan(self) -> dict[str, Any]:
        """The order; of named rows every kind."""
        plan = super().plan()
        return {"rows": plan["rows"], "personal": plan["personal"] or int(EVERY)}


class RowForm(forms.Form):
    """A row as JSON."""

    row = forms.CharField(
        label="Row as JSON",
        max_length=8_000_000,
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "class": "data-json"}),
    )

    def clean_row(self) -> dict[str, Any]:
        try:
            row = json.loads(self.cleaned_data["row"])
        except json.JSONDecodeError as error:
            place = f"line {error.lineno:,}, character {error.colno:,}"
            raise ValidationError(
                f"This is not valid JSON. At {place}: {syntax_in_words(error)}."
            ) from error
        except (ValueError, RecursionError) as error:
            raise ValidationError(f"This is not valid JSON: {error}.") from error
        if not isinstance(row, dict):
            raise ValidationError("A row is an object, in braces.")
        return row


class TokensForm(forms.Form):
    """Whose tokens, and where they are cut."""

    model = forms.ModelChoiceField(
        label="Model",
        queryset=LocalModel.objects.exclude(kind=LocalModel.Kind.EMBEDDING).order_by("name"),
        to_field_name="slug",
        empty_label=None,
    )
    limit = forms.IntegerField(
        label="Max. sequence length", min_value=8, max_value=1_000_000, initial=DEFAULT_LIMIT
    )
    mask = forms.BooleanField(label="Learn only the answer", required=False, initial=True)


class MergeForm(forms.Form):
    """Another dataset, of the same kind."""

    other = forms.ModelChoiceField(
        label="Dataset", queryset=Dataset.objects.none(), to_field_name="slug"
    )

    def __init__(self, *args: Any, dataset: Dataset, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = dataset.head.kind if dataset.head else ""
        others = Dataset.objects.filter(head__kind=kind).exclude(pk=dataset.pk)
        self.fields["other"].queryset = others.order_by("name")  # type: ignore[attr-defined]
