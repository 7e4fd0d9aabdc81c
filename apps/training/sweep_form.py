"""The values that a sweep tries, as a form asks for them: ``1e-4, 5e-5``."""

from __future__ import annotations

import math
from typing import Any

from django import forms

from apps.training.errors import BadOrder
from apps.training.sweeps import AXES, combinations

PREFIX = "sweep"


class SweepForm(forms.Form):
    """A field for each setting that can be tried in several values; all may be empty."""

    prefix = PREFIX

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in AXES.items():
            self.fields[name] = forms.CharField(
                label=f"{label} to try",
                required=False,
                max_length=300,
                widget=forms.TextInput(attrs={"placeholder": EXAMPLES.get(name, "")}),
            )
        self.grid: dict[str, list[float]] = {}
        """Of a valid form; empty: one run alone is wanted."""

    @property
    def runs(self) -> int:
        """How many runs a valid form asks for."""
        return math.prod(map(len, self.grid.values())) if self.grid else 0

    def clean(self) -> dict[str, Any]:
        for name in AXES:
            text = self.cleaned_data.get(name, "")
            try:
                values = [float(part) for part in text.replace(";", ",").split(",") if part.strip()]
            except ValueError:
                self.add_error(name, f"{text} is no list of numbers. Write them as 1, 2, 4.")
                continue
            if values:
                self.grid[name] = list(dict.fromkeys(values))
        if self.grid and not self.errors:
            try:
                combinations(self.grid)
            except BadOrder as error:
                self.add_error(None, str(error))
        return self.cleaned_data


EXAMPLES = {"learning_rate": "1e-4, 5e-5", "lora.rank": "4, 8, 16"}
