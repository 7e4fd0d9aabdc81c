"""What a person may say of how a model is served, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.conf import settings

from apps.models import services
from apps.models.models import LocalModel

if TYPE_CHECKING:
    _LocalModelForm = forms.ModelForm[LocalModel]
else:  # generic for the type checker alone
    _LocalModelForm = forms.ModelForm


class ServingForm(_LocalModelForm):
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

    def save(self, commit: bool = True) -> LocalModel:
        """Write these settings, and nothing else of the model."""
        model = super().save(commit=False)
        if commit:
            services.save_serving(model=model)
        return model
