"""The form that orders an evaluation."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import models
from pydantic import ValidationError

from apps.datasets.models import Dataset, DatasetVersion
from apps.inference.services import all_models
from apps.training.evaluation.models import PromptSet
from apps.training.evaluation.plan import MOST_QUESTIONS, MOST_SUBJECTS, Check, Plan

CHECKS = (
    ("none", "Nothing: show the answers"),
    ("exact", "The answer in the data, word for word"),
    ("regex", "A regular expression"),
    ("json_schema", "A JSON Schema"),
)
SPLITS = (("valid", "Validation"), ("test", "Test"), ("train", "Training"))


class EvaluationForm(forms.Form):
    """Whom to ask, what, and what makes an answer right."""

    subjects = forms.MultipleChoiceField(
        label="Models and adapters",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose a model, and what to compare it with."},
    )
    dataset = forms.ModelChoiceField(
        Dataset.objects.none(),
        label="Data",
        required=False,
        empty_label="None: prompts alone",
        help_text="Its present version.",
    )
    split = forms.ChoiceField(label="Rows of", choices=SPLITS, initial="valid")
    loss_rows = forms.IntegerField(
        label="Rows for perplexity", min_value=0, max_value=100_000, initial=100
    )
    question_rows = forms.IntegerField(
        label="Rows to answer", min_value=0, max_value=MOST_QUESTIONS, initial=20
    )
    max_tokens = forms.IntegerField(
        label="Longest answer, tokens", min_value=1, max_value=8192, initial=256
    )
    check = forms.ChoiceField(label="An answer is right by", choices=CHECKS, initial="none")
    check_text = forms.CharField(
        label="Expression or schema",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="For example \\w+: .+ for an expression that the whole answer matches.",
    )
    prompts = forms.CharField(
        label="More prompts, one a line",
        required=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    prompt_set = forms.ModelChoiceField(
        PromptSet.objects.all(), label="And a prompt set", required=False, empty_label="None"
    )
    save_as = forms.CharField(
        label="Keep the prompts as",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="The name of a prompt set. Empty: they are asked this once.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [named.name for named in all_models() if not named.model.embeds]
        subjects = self.fields["subjects"]
        assert isinstance(subjects, forms.MultipleChoiceField)
        subjects.choices = [(name, name) for name in names]
        dataset = self.fields["dataset"]
        assert isinstance(dataset, forms.ModelChoiceField)
        dataset.queryset = Dataset.objects.newest_first().exclude(
            models.Q(head=None) | models.Q(head__kind=DatasetVersion.Kind.UNMAPPED)
        )

    @property
    def others(self) -> list[forms.BoundField]:
        """The fields beside the models."""
        return [self[name] for name in self.fields if name != "subjects"]

    def clean_subjects(self) -> list[str]:
        names: list[str] = self.cleaned_data["subjects"]
        if len(names) > MOST_SUBJECTS:
            raise forms.ValidationError(f"Choose {MOST_SUBJECTS} at most.")
        return names

    def clean_save_as(self) -> str:
        name: str = self.cleaned_data["save_as"].strip()
        if name and not self._written():
            raise forms.ValidationError("Write the prompts that are to be kept.")
        return name

    def _written(self) -> list[str]:
        lines = self.cleaned_data.get("prompts", "").splitlines()
        return [line for line in lines if line.strip()]

    def _prompts(self) -> tuple[str, ...]:
        chosen: PromptSet | None = self.cleaned_data["prompt_set"]
        return tuple(dict.fromkeys([*self._written(), *(chosen.prompts if chosen else ())]))

    def keep_prompts(self) -> None:
        """Save what was written as a set, where that is wanted; one of this name is replaced."""
        if name := self.cleaned_data["save_as"]:
            PromptSet.objects.update_or_create(name=name, defaults={"prompts": self._written()})

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if self.errors:
            return cleaned
        without = cleaned["dataset"] is None
        try:
            cleaned["plan"] = Plan(
                subjects=cleaned["subjects"],
                split=cleaned["split"],
                loss_rows=0 if without else cleaned["loss_rows"],
                question_rows=0 if without else cleaned["question_rows"],
                prompts=self._prompts(),
                max_tokens=cleaned["max_tokens"],
                check=Check(kind=cleaned["check"], text=cleaned["check_text"]),
            )
        except ValidationError as error:
            raise forms.ValidationError(
                [each["msg"].removeprefix("Value error, ") for each in error.errors()]
            ) from error
        return cleaned

    @property
    def plan(self) -> Plan:
        plan: Plan = self.cleaned_data["plan"]
        return plan

    @property
    def version(self) -> DatasetVersion | None:
        dataset: Dataset | None = self.cleaned_data["dataset"]
        return dataset.head if dataset else None
