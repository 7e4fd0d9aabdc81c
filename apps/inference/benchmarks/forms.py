"""The form that starts a benchmark."""

from __future__ import annotations

from typing import Any

from django import forms
from pydantic import ValidationError

from apps.inference.benchmarks.measuring.address import base_url
from apps.inference.benchmarks.measuring.errors import BadAddress
from apps.inference.benchmarks.measuring.plan import MAX_CLIENTS, Plan
from apps.inference.benchmarks.schemas import PLANS
from apps.inference.services import all_models

_LENGTHS = {"inputmode": "numeric", "autocomplete": "off"}


class StartForm(forms.Form):
    """Which model on which server, and how much. Empty lengths are the kind's own."""

    target = forms.ChoiceField(
        choices=(("hub", "This hub"), ("server", "Another server")),
        initial="hub",
        widget=forms.RadioSelect,
    )
    model = forms.ChoiceField(label="Model", required=False)
    base_url = forms.CharField(
        label="Base URL",
        max_length=500,
        required=False,
        help_text="An OpenAI-compatible API, for example http://127.0.0.1:1234/v1",
        widget=forms.TextInput(attrs={"autocomplete": "url", "inputmode": "url"}),
    )
    server_model = forms.CharField(
        label="Model name there",
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    kind = forms.ChoiceField(
        choices=(("quick", "Quick"), ("full", "Full")), initial="quick", widget=forms.RadioSelect
    )
    rounds = forms.IntegerField(label="Rounds", min_value=1, max_value=20, required=False)
    clients = forms.CharField(
        label="Clients at once",
        max_length=60,
        required=False,
        help_text="For example 1, 2, 4",
        widget=forms.TextInput(attrs=_LENGTHS),
    )
    system_tokens = forms.IntegerField(
        label="System prompt, tokens", min_value=50, max_value=100_000, required=False
    )
    decode_tokens = forms.IntegerField(
        label="Answer, tokens", min_value=8, max_value=4096, required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [named.name for named in all_models()]
        model = self.fields["model"]
        assert isinstance(model, forms.ChoiceField)
        model.choices = [(name, name) for name in names]
        for name in self.errors if self.is_bound else ():
            self.fields[name].widget.attrs["aria-invalid"] = "true"

    @property
    def lengths(self) -> list[forms.BoundField]:
        """The fields that need not be filled in."""
        return [self[name] for name in ("rounds", "clients", "system_tokens", "decode_tokens")]

    def clean_base_url(self) -> str:
        text: str = self.cleaned_data["base_url"].strip()
        if self.cleaned_data.get("target") != "server":
            return ""
        if not text:
            raise forms.ValidationError("Give the server's address.")
        try:
            return base_url(text)
        except BadAddress as error:
            raise forms.ValidationError(str(error)) from error

    def clean_server_model(self) -> str:
        name: str = self.cleaned_data["server_model"].strip()
        if self.cleaned_data.get("target") == "server" and not name:
            raise forms.ValidationError("Give the name that the server calls the model by.")
        return name

    def clean_model(self) -> str:
        name: str = self.cleaned_data["model"]
        if self.cleaned_data.get("target") == "hub" and not name:
            raise forms.ValidationError("Choose a model.")
        return name

    def clean_clients(self) -> list[int] | None:
        text: str = self.cleaned_data["clients"]
        try:
            numbers = [int(each) for each in text.replace(",", " ").split()]
        except ValueError as error:
            raise forms.ValidationError("Whole numbers, with commas between them.") from error
        if any(not 1 <= number <= MAX_CLIENTS for number in numbers):
            raise forms.ValidationError(f"From 1 to {MAX_CLIENTS} clients.")
        return numbers or None

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not self.errors:
            changes = {name: cleaned[name] for name in Plan.model_fields if name in cleaned}
            try:
                cleaned["plan"] = PLANS[cleaned["kind"]].but(**changes)
            except ValidationError as error:
                raise forms.ValidationError(error.errors()[0]["msg"]) from error
        return cleaned

    @property
    def model_name(self) -> str:
        """The model's name on the chosen server."""
        name: str = self.cleaned_data[
            "server_model" if self.cleaned_data["target"] == "server" else "model"
        ]
        return name
