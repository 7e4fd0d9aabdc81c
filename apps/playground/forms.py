"""What a person may type into the playground, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms

from apps.models.models import Adapter, LocalModel
from apps.playground.models import MAX_CHARACTERS, MAX_SEED, TITLE_LENGTH, Conversation

if TYPE_CHECKING:
    _ConversationForm = forms.ModelForm[Conversation]
else:  # generic for the type checker alone
    _ConversationForm = forms.ModelForm

COMPOSER_ID = "composer"
"""Settings stand in another part of the page and are sent with the message."""


class MessageForm(forms.Form):
    """One message of the user's."""

    content = forms.CharField(
        label="Message",
        max_length=MAX_CHARACTERS,
        strip=False,
        widget=forms.Textarea(
            attrs={
                "id": "composer-content",
                "rows": 1,
                "placeholder": "Message",
                "autocomplete": "off",
                "data-grow": True,
            }
        ),
        error_messages={"required": "Write a message first."},
    )

    def clean_content(self) -> str:
        """The message without the blank lines around it; its indentation matters."""
        content: str = self.cleaned_data["content"].strip("\r\n").rstrip()
        if not content.strip():
            raise forms.ValidationError("Write a message first.")
        return content.replace("\r\n", "\n")


class SettingsForm(_ConversationForm):
    """The model and the parameters that the next answer is made with."""

    # A browser can't point at a field in a closed drawer, and then would say nothing at all.
    use_required_attribute = False

    class Meta:
        model = Conversation
        fields = (
            "model",
            "adapter",
            "system_prompt",
            "temperature",
            "top_p",
            "repetition_penalty",
            "max_tokens",
            "seed",
        )
        widgets = {
            "system_prompt": forms.Textarea(
                attrs={"rows": 4, "placeholder": "You are a helpful assistant."}
            ),
            "temperature": forms.NumberInput(attrs={"min": 0, "max": 2, "step": 0.05}),
            "top_p": forms.NumberInput(attrs={"min": 0.01, "max": 1, "step": 0.01}),
            "repetition_penalty": forms.NumberInput(attrs={"min": 0.1, "max": 2, "step": 0.05}),
            "max_tokens": forms.NumberInput(attrs={"min": 1, "step": 1, "placeholder": "No limit"}),
            "seed": forms.NumberInput(
                attrs={"min": 0, "max": MAX_SEED, "step": 1, "placeholder": "Random"}
            ),
        }
        error_messages = {"model": {"required": "Choose a model."}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model = cast("forms.ModelChoiceField[LocalModel]", self.fields["model"])
        # One that was deleted leaves the choice to a person, not to the first of the list.
        model.empty_label = None if self.instance.model_id else "Choose a model"
        model.queryset = LocalModel.objects.writing()
        adapter = cast("forms.ModelChoiceField[Adapter]", self.fields["adapter"])
        adapter.queryset = Adapter.objects.select_related("base")
        adapter.empty_label = "None"
        if not adapter.queryset.exists():
            del self.fields["adapter"]
        for field in self.fields.values():
            field.widget.attrs["form"] = COMPOSER_ID

    def clean_adapter(self) -> Adapter | None:
        """Raises ValidationError for an adapter over another model than the chosen one."""
        adapter: Adapter | None = self.cleaned_data["adapter"]
        model: LocalModel | None = self.cleaned_data.get("model")
        if adapter is not None and model is not None and adapter.base_id != model.pk:
            raise forms.ValidationError(
                f"This is an adapter over {adapter.base}. Choose that model, or another adapter."
            )
        return adapter

    def save(self, commit: bool = True) -> Conversation:
        """Write the settings and nothing else of the conversation.

        A message may have been sent since it was read, and would go out of view.
        """
        conversation = super().save(commit=False)
        if commit:
            conversation.save(update_fields=list(self.fields))
        return conversation


class TitleForm(forms.Form):
    """A conversation's new name."""

    title = forms.CharField(label="Name", max_length=TITLE_LENGTH)
