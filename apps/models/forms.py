"""What a person may say of how a model is served, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from apps.models import services
from apps.models.models import LocalModel

if TYPE_CHECKING:
    _LocalModelForm = forms.ModelForm[LocalModel]
else:  # generic for the type checker alone
    _LocalModelForm = forms.ModelForm


MOST_DRAFTS = 200
"""Drafts that one list offers; a page with thousands is slow and helps nobody."""

_USUAL = {"temperature": 1, "top_p": 1, "top_k": 0, "min_p": 0, "repetition_penalty": 1}
"""What the API has where neither the owner nor the authors say anything."""


class _PartForm(_LocalModelForm):
    """A form for some of a model's fields."""

    def add_error(self, field: str | None, error: Any) -> None:
        """What is wrong with the other fields is not this form's to say."""
        if field is None and isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            mine = {name: each for name, each in error.error_dict.items() if name in self.fields}
            if not mine:
                return
            error = ValidationError(mine)
        super().add_error(field, error)


class DefaultsForm(_PartForm):
    """What a chat or a call that says nothing of it gets."""

    class Meta:
        model = LocalModel
        fields = services.DEFAULTS_FIELDS
        widgets = {
            "temperature": forms.NumberInput(attrs={"min": 0, "max": 2, "step": 0.05}),
            "top_p": forms.NumberInput(attrs={"min": 0.01, "max": 1, "step": 0.01}),
            "top_k": forms.NumberInput(attrs={"min": 0, "step": 1}),
            "min_p": forms.NumberInput(attrs={"min": 0, "max": 1, "step": 0.01}),
            "repetition_penalty": forms.NumberInput(attrs={"min": 0.01, "max": 10, "step": 0.05}),
            "max_tokens": forms.NumberInput(attrs={"min": 1, "step": 1}),
            "context_limit": forms.NumberInput(attrs={"min": 64, "step": 1}),
            "system_prompt": forms.Textarea(attrs={"rows": 3}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        recommended = {**_USUAL, **self.instance.recommended}
        for name, value in recommended.items():
            if name in self.fields:
                self.fields[name].widget.attrs["placeholder"] = f"{value:g}"
        limit = self.fields["context_limit"]
        limit.widget.attrs |= {
            "max": self.instance.context_length,
            "placeholder": self.instance.context_length,
        }

    def save(self, commit: bool = True) -> LocalModel:
        """Write these defaults, and nothing else of the model."""
        model = super().save(commit=False)
        if commit:
            services.save_settings(model=model, fields=services.DEFAULTS_FIELDS)
        return model


class ServingForm(_PartForm):
    """How the engine is to serve a model: how long it stays, and what drafts for it."""

    class Meta:
        model = LocalModel
        fields = services.SERVING_FIELDS
        widgets = {"ttl_minutes": forms.NumberInput(attrs={"min": 0, "step": 1})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usual = f"{settings.HUB.model_ttl_minutes:g}"
        self.fields["ttl_minutes"].widget.attrs["placeholder"] = usual
        draft = cast("forms.ModelChoiceField[LocalModel]", self.fields["draft"])
        draft.queryset = LocalModel.objects.drafts_for(self.instance)
        draft.empty_label = "None"
        draft.widget.choices = self._offered_drafts(draft)

    def _offered_drafts(
        self, field: forms.ModelChoiceField[LocalModel]
    ) -> list[tuple[Any, str]] | Any:
        """All that may draft; of very many those of its own family, with the one it has."""
        drafts = LocalModel.objects.drafts_for(self.instance)
        if drafts.count() <= MOST_DRAFTS:
            return field.choices
        family = drafts.filter(architecture=self.instance.architecture)[:MOST_DRAFTS]
        offered = {draft.pk: draft.name for draft in family.only("name")}
        if self.instance.draft is not None:
            offered[self.instance.draft.pk] = self.instance.draft.name
        return [("", "None"), *offered.items()]

    def save(self, commit: bool = True) -> LocalModel:
        """Write these settings, and nothing else of the model."""
        model = super().save(commit=False)
        if commit:
            services.save_settings(model=model, fields=services.SERVING_FIELDS)
        return model
