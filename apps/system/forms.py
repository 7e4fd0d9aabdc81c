"""Forms of the System page's actions."""

from __future__ import annotations

from django import forms


class EntryForm(forms.Form):
    """Which prompt cache entry; none means all."""

    entry_id = forms.CharField(max_length=200, required=False)

    @property
    def problem(self) -> str:
        """The errors in one sentence each, with the field they are about."""
        return " ".join(
            f"{field}: {error}" for field, errors in self.errors.items() for error in errors
        )


class PinForm(EntryForm):
    """Which entry, and whether it is to be kept from eviction."""

    entry_id = forms.CharField(max_length=200)
    pinned = forms.TypedChoiceField(
        choices=(("true", "pin"), ("false", "unpin")), coerce=lambda value: value == "true"
    )
