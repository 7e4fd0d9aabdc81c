"""What the search page, the REST API and the command line are asked for: one form for all."""

from __future__ import annotations

import math
import re
from typing import Any

from django import forms

from apps.discovery.hub.searching import MAX_CURSOR
from apps.discovery.listing import is_repo_id
from apps.discovery.wanted import FULL, Wanted

SORT_CHOICES = (
    ("trending", "Trending"),
    ("downloads", "Downloads"),
    ("likes", "Likes"),
    ("newest", "Newest"),
)
FORMAT_CHOICES = (
    ("mlx", "MLX-ready"),
    ("safetensors", "Safetensors"),
    ("gguf", "GGUF"),
    ("any", "Any"),
)
TASK_CHOICES = (
    ("", "Any"),
    ("text-generation", "Text generation"),
    ("image-text-to-text", "Image and text to text"),
    ("feature-extraction", "Embeddings"),
    ("sentence-similarity", "Sentence similarity"),
    ("text-ranking", "Reranking"),
    ("text-classification", "Text classification"),
    ("translation", "Translation"),
    ("summarization", "Summarisation"),
)
QUANTIZATION_CHOICES = (
    ("", "Any"),
    (FULL, "None (16 or 32 bits)"),
    *((f"{bits}-bit", f"{bits} bits") for bits in (8, 6, 5, 4, 3, 2)),
    ("mxfp4", "MXFP4"),
    ("mxfp8", "MXFP8"),
    ("nvfp4", "NVFP4"),
)
GATE_CHOICES = (("", "Any"), ("open", "Open to all"), ("gated", "Gated"))

ARCHITECTURES = (
    *("llama", "qwen2", "qwen3", "qwen3_moe", "qwen3_next", "gemma2", "gemma3", "mistral"),
    *("mixtral", "phi3", "deepseek_v3", "gpt_oss", "lfm2", "mamba2", "glm4", "bert"),
)
"""Suggested; any other can be typed."""

LICENSES = (
    *("apache-2.0", "mit", "bsd-3-clause", "llama3.1", "llama3.2", "gemma", "cc-by-4.0"),
    *("cc-by-nc-4.0", "openrail", "other"),
)
"""Suggested; any other can be typed."""

_SELDOM = ("min_params", "max_params", "max_gb", "architecture", "license", "gate")

_TAG = re.compile(r"[\w.+-]+", re.ASCII)
_BILLION = 10**9
_GB = 10**9


class SearchForm(forms.Form):
    """Every field may be left out; a number's unit is in its label."""

    q = forms.CharField(label="Search", max_length=300, required=False)
    sort = forms.ChoiceField(choices=SORT_CHOICES, required=False)
    format = forms.ChoiceField(label="Weights", choices=FORMAT_CHOICES, required=False)
    task = forms.ChoiceField(choices=TASK_CHOICES, required=False)
    quantization = forms.ChoiceField(
        label="Quantisation", choices=QUANTIZATION_CHOICES, required=False
    )
    min_params = forms.FloatField(
        label="Parameters from, in billions", min_value=0, max_value=10_000, required=False
    )
    max_params = forms.FloatField(
        label="Parameters up to, in billions", min_value=0, max_value=10_000, required=False
    )
    max_gb = forms.FloatField(
        label="Size up to, in GB", min_value=0, max_value=100_000, required=False
    )
    architecture = forms.CharField(max_length=60, required=False)
    license = forms.CharField(label="Licence", max_length=60, required=False)
    gate = forms.ChoiceField(label="Access", choices=GATE_CHOICES, required=False)
    base_model = forms.CharField(label="Made from", max_length=200, required=False)
    cursor = forms.CharField(max_length=MAX_CURSOR, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.errors if self.is_bound else ():
            if name in self.fields:
                attributes = {"aria-invalid": "true", "aria-describedby": f"id_{name}_error"}
                self.fields[name].widget.attrs |= attributes

    @property
    def narrows(self) -> bool:
        """Whether one of the filters is set that are seldom needed."""
        return any(self.data.get(name) for name in _SELDOM)

    def clean_architecture(self) -> str:
        return _tag(self.cleaned_data["architecture"], "An architecture is a name like qwen3.")

    def clean_license(self) -> str:
        return _tag(self.cleaned_data["license"], "A licence is a name like apache-2.0.")

    def clean_base_model(self) -> str:
        name: str = self.cleaned_data["base_model"].strip()
        if name and not is_repo_id(name):
            raise forms.ValidationError("Name the repository as OWNER/NAME.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        least, most = cleaned.get("min_params"), cleaned.get("max_params")
        if least is not None and most is not None and least > most:
            self.add_error("max_params", "It is below the least number of parameters.")
        return cleaned

    @property
    def wanted(self) -> Wanted:
        """What a valid form asks for."""
        given = self.cleaned_data
        return Wanted(
            words=given["q"].strip(),
            sort=given["sort"] or "trending",
            format=given["format"] or "mlx",
            task=given["task"],
            architecture=given["architecture"],
            license=given["license"],
            gate=given["gate"],
            base_model=given["base_model"],
            min_parameters=_scaled(given["min_params"], _BILLION),
            max_parameters=_scaled(given["max_params"], _BILLION),
            max_bytes=_scaled(given["max_gb"], _GB),
            quantization=given["quantization"],
        )


def _tag(given: str, problem: str) -> str:
    tag = given.strip().lower()
    if tag and not _TAG.fullmatch(tag):
        raise forms.ValidationError(problem)
    return tag


def _scaled(number: float | None, unit: int) -> int | None:
    return None if number is None or not math.isfinite(number) else round(number * unit)
