"""The form that orders a download."""

from __future__ import annotations

from django import forms

_PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}


class OrderForm(forms.Form):
    """Which repository, at which revision, under which name."""

    repo_id = forms.CharField(
        label="Repository",
        max_length=200,
        widget=forms.TextInput(attrs=_PLAIN | {"placeholder": "owner/name"}),
    )
    revision = forms.CharField(
        label="Revision",
        max_length=200,
        required=False,
        help_text="A branch, tag or commit. Empty: the newest.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
    slug = forms.CharField(
        label="Name here",
        max_length=120,
        required=False,
        help_text="Empty: as there.",
        widget=forms.TextInput(attrs=_PLAIN),
    )
