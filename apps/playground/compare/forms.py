"""Columns as a form: who answers, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django import forms

from apps.inference.services import NamedModel, all_models
from apps.playground.compare.models import Column, Comparison
from apps.playground.forms import COMPOSER_ID
from apps.playground.models import MAX_CHARACTERS, MAX_SEED

if TYPE_CHECKING:
    _ColumnForm = forms.ModelForm[Column]
else:  # generic for the type checker alone
    _ColumnForm = forms.ModelForm


class ColumnForm(_ColumnForm):
    """One column; model and adapter are chosen by one name."""

    name = forms.ChoiceField(
        label="Model", error_messages={"invalid_choice": "%(value)s is not on this hub any more."}
    )

    class Meta:
        model = Column
        fields = ("temperature", "top_p", "repetition_penalty", "max_tokens", "seed")
        widgets = {
            "temperature": forms.NumberInput(attrs={"min": 0, "max": 2, "step": 0.05}),
            "top_p": forms.NumberInput(attrs={"min": 0.01, "max": 1, "step": 0.01}),
            "repetition_penalty": forms.NumberInput(attrs={"min": 0.1, "max": 2, "step": 0.05}),
            "max_tokens": forms.NumberInput(attrs={"min": 1, "step": 1, "placeholder": "No limit"}),
            "seed": forms.NumberInput(
                attrs={"min": 0, "max": MAX_SEED, "step": 1, "placeholder": "Random"}
            ),
        }

    def __init__(self, *args: Any, named: Mapping[str, NamedModel], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._named = named
        name = self.fields["name"]
        assert isinstance(name, forms.ChoiceField)
        name.choices = [(each, each) for each in named]
        name.initial = self.instance.name or next(iter(named), "")
        for field in self.fields.values():
            field.widget.attrs["form"] = COMPOSER_ID

    @property
    def settings(self) -> list[forms.BoundField]:
        """The fields beside the model."""
        return [self[name] for name in self.Meta.fields]

    @property
    def column(self) -> dict[str, Any]:
        """Fields of Column, of a valid form."""
        chosen = self._named[self.cleaned_data["name"]]
        settings = {name: self.cleaned_data[name] for name in self.Meta.fields}
        return {"model": chosen.model, "adapter": chosen.adapter, **settings}


class SystemPromptForm(forms.Form):
    """What all columns are told first."""

    system_prompt = forms.CharField(
        label="System prompt, for all columns",
        required=False,
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea(
            attrs={"rows": 2, "placeholder": "You are a helpful assistant.", "form": COMPOSER_ID}
        ),
    )


def writing_models() -> dict[str, NamedModel]:
    """What can stand in a column, by its name."""
    return {named.name: named for named in all_models() if not named.model.embeds}


def column_forms(
    columns: Sequence[Column], data: Mapping[str, Any] | None = None
) -> list[ColumnForm]:
    """A form for each column, filled in with ``data`` where it is given."""
    named = writing_models()
    return [
        ColumnForm(data, instance=column, prefix=f"c{position}", named=named)
        for position, column in enumerate(columns)
    ]


def columns_of(comparison: Comparison) -> list[Column]:
    """In their order, with their models."""
    return list(comparison.columns.select_related("model", "adapter__base"))


def new_columns(names: Sequence[str]) -> list[Column]:
    """Unsaved columns for these names; what there is not is passed over."""
    named = writing_models()
    found = [named[name] for name in names if name in named]
    return [_column(each, position) for position, each in enumerate(found)]


def _column(named: NamedModel, position: int) -> Column:
    """With its model's defaults."""
    taken = {"temperature", "top_p", "repetition_penalty", "max_tokens"}
    defaults = {name: value for name, value in named.model.sampling.items() if name in taken}
    return Column(position=position, model=named.model, adapter=named.adapter, **defaults)
