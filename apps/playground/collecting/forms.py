"""What a person may choose of conversations, checked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from apps.datasets.models import Dataset
from apps.playground.collecting.services import Picked
from apps.playground.models import MAX_CHARACTERS, Message

KINDS = (("chat", "Conversations"), ("preference", "Preference pairs"))
WHICH = (
    ("shown", "Whole conversations, up to the last good answer"),
    ("liked", "Only answers that are liked or corrected, each with what led to it"),
)
MAX_CHOSEN = 1_000


class _Many(forms.TypedMultipleChoiceField):
    """Any keys: those of what is deleted meanwhile are passed over."""

    def validate(self, value: Any) -> None:
        if len(value) > MAX_CHOSEN:
            raise ValidationError(f"Choose at most {MAX_CHOSEN:,}, or none for all of them.")


class PickForm(forms.Form):
    """Which conversations or answers, and what of them."""

    kind = forms.ChoiceField(
        label="Make", choices=KINDS, required=False, widget=forms.RadioSelect, initial="chat"
    )
    which = forms.ChoiceField(
        label="Of", choices=WHICH, required=False, widget=forms.RadioSelect, initial="shown"
    )
    c = _Many(coerce=lambda text: forms.UUIDField().clean(text), required=False)
    answer = _Many(coerce=lambda text: forms.IntegerField().clean(text), required=False)

    @property
    def picked(self) -> Picked:
        """What a valid form asks for."""
        given = self.cleaned_data
        return Picked(
            kind=given["kind"] or "chat",
            which=given["which"] or "shown",
            conversations=tuple(given["c"]),
            answers=tuple(given["answer"]),
        )


class TargetForm(forms.Form):
    """Where the rows go: a new dataset, or one of the same kind."""

    dataset = forms.ModelChoiceField(
        label="Add to",
        queryset=Dataset.objects.none(),
        to_field_name="slug",
        required=False,
        empty_label="A new dataset",
    )
    name = forms.CharField(
        label="Name of the new one",
        max_length=100,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, kind: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].queryset = same_kind(kind)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        cleaned["name"] = cleaned.get("name", "").strip()
        if not cleaned.get("dataset") and not cleaned["name"] and "dataset" not in self.errors:
            self.add_error("name", "Give the new dataset a name, or choose one to add to.")
        return cleaned


class NameForm(forms.Form):
    """What a new dataset is called."""

    name = forms.CharField(
        max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"}), initial="Requests"
    )


class CorrectionForm(forms.Form):
    """The answer as it should have been."""

    content = forms.CharField(
        max_length=MAX_CHARACTERS,
        strip=False,
        error_messages={"required": "Write the answer, or delete the message."},
    )

    def clean_content(self) -> str:
        content: str = self.cleaned_data["content"].strip("\r\n").rstrip()
        if not content.strip():
            raise ValidationError("Write the answer, or delete the message.")
        return content.replace("\r\n", "\n")


class RatingForm(forms.Form):
    """Good, bad, or taken back."""

    rating = forms.TypedChoiceField(
        choices=Message.Rating.choices, coerce=lambda value: Message.Rating(int(value))
    )


def same_kind(kind: str) -> QuerySet[Dataset]:
    """Datasets that rows of a kind can be added to."""
    return Dataset.objects.filter(head__kind=kind).order_by("name")
