"""What a person may order to be done with a model, checked."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from pydantic import ValidationError

from apps.models.errors import RegistryError
from apps.models.models import Adapter, LocalModel, validate_slug
from apps.models.naming import slug_from
from apps.models.runtime.work.orders import Quantization
from apps.models.work import services
from apps.models.work.exporting import destination_for
from apps.models.work.models import ModelJob

PACKINGS = (
    (
        "The same bits for every matrix",
        [(f"{bits}", f"{bits}-bit") for bits in (2, 3, 4, 5, 6, 8)],
    ),
    (
        "Mixed: more bits where they matter",
        [
            (f"mixed_{low}_{high}", f"mixed {low}/{high}-bit")
            for low, high in ((2, 6), (3, 4), (3, 6), (4, 6))
        ],
    ),
    (
        "Formats of floating-point numbers",
        [("mxfp4", "MXFP4"), ("nvfp4", "NVFP4"), ("mxfp8", "MXFP8")],
    ),
    ("Not packed", [("none", "Unpacked")]),
)
_LABELS = {packing: label for _, group in PACKINGS for packing, label in group}
GROUPS = (("", "64 (usual)"), ("32", "32"), ("128", "128"))
DTYPES = (
    ("", "As they are"),
    ("float16", "float16"),
    ("bfloat16", "bfloat16"),
    ("float32", "float32"),
)


class OrderForm(forms.Form):
    """An order about one model. ``order`` queues it and starts it, or finds a mistake."""

    def __init__(self, *args: Any, model: LocalModel, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model = model

    def order(self) -> ModelJob | None:
        """The queued job; None where the registry refuses it, and then the form says why."""
        try:
            job = self._queued()
        except RegistryError as error:
            self.add_error(self._named_by, str(error))
            return None
        services.start(job=job)
        return job

    _named_by: str | None = None
    """The field that a refusal stands beside."""

    def _queued(self) -> ModelJob:
        raise NotImplementedError


class _MakingForm(OrderForm):
    """An order that makes a new model."""

    name = forms.CharField(label="Name of the new model", max_length=200, required=False)
    measure = forms.BooleanField(
        label="Compare with the original",
        required=False,
        initial=True,
        help_text="Perplexity on a fixed text and tokens per second. Loads both, one after another.",
    )
    _named_by = "name"

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip() or self._usual_name()[:200]
        if not slug_from(name):
            raise forms.ValidationError("Use some letters or digits.")
        return name

    @property
    def slug(self) -> str:
        return slug_from(self.cleaned_data["name"])

    def _usual_name(self) -> str:
        """What the new model is called where nobody says; by the fields before it."""
        raise NotImplementedError


class ConvertForm(_MakingForm):
    """How to write the model anew."""

    packing = forms.ChoiceField(
        label="Quantisation",
        choices=PACKINGS,
        initial="4",
        help_text="Fewer bits: smaller, faster, and less exact.",
    )
    group_size = forms.TypedChoiceField(
        label="Group size",
        choices=GROUPS,
        coerce=int,
        empty_value=None,
        required=False,
        help_text="Weights that share a scale. Fewer: more exact, and larger.",
    )
    dtype = forms.ChoiceField(
        label="Type of the other weights",
        choices=DTYPES,
        required=False,
        help_text="Of what is not packed: norms, scales, or all.",
    )
    field_order = ("packing", "group_size", "dtype", "name", "measure")
    quantization: Quantization | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].help_text = (
            f"Empty: its name and the quantisation, such as {self.model.name} 4-bit. "
            "API calls use it in small letters."
        )

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if "packing" in cleaned and "group_size" in cleaned:
            try:
                self.quantization = quantization_of(cleaned["packing"], cleaned["group_size"])
            except ValidationError as error:
                message = error.errors()[0]["msg"].removeprefix("Value error, ")
                self.add_error("group_size", message)
        return cleaned

    def _usual_name(self) -> str:
        return f"{self.model.name} {_LABELS.get(self.cleaned_data.get('packing', ''), '')}"

    def _queued(self) -> ModelJob:
        return services.order_conversion(
            model=self.model,
            slug=self.slug,
            name=self.cleaned_data["name"],
            quantization=self.quantization,
            dtype=self.cleaned_data["dtype"] or None,
            measure=self.cleaned_data["measure"],
        )


class FuseForm(_MakingForm):
    """Which adapter to make part of the model."""

    adapter = forms.ModelChoiceField(
        queryset=Adapter.objects.none(), label="Adapter", empty_label=None
    )
    dequantize = forms.BooleanField(
        label="Leave the result unpacked",
        required=False,
        help_text="Larger, and nothing that the adapter learned is rounded away. "
        "Convert the result afterwards.",
    )
    field_order = ("adapter", "name", "dequantize", "measure")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        adapters = Adapter.objects.filter(base=self.model)
        cast("forms.ModelChoiceField[Adapter]", self.fields["adapter"]).queryset = adapters
        chosen = adapters.filter(pk=_key(self.initial.get("adapter"))).first() or adapters.first()
        if chosen is not None:
            self.initial["adapter"] = chosen.pk
            self.fields["name"].help_text = (
                f"Empty: its name and the adapter's, such as {self.model.name} {chosen.name}. "
                "API calls use it in small letters."
            )

    def _usual_name(self) -> str:
        adapter = self.cleaned_data.get("adapter")
        return f"{self.model.name} {adapter.name if adapter else ''}"

    def _queued(self) -> ModelJob:
        return services.order_fusion(
            adapter=self.cleaned_data["adapter"],
            slug=self.slug,
            name=self.cleaned_data["name"],
            dequantize=self.cleaned_data["dequantize"],
            measure=self.cleaned_data["measure"],
        )


class ExportForm(OrderForm):
    """What other programs are to get."""

    format = forms.ChoiceField(
        label="Format",
        choices=(("folder", "Folder in mlx-lm's format"), ("gguf", "GGUF file")),
        widget=forms.RadioSelect,
        initial="folder",
    )
    name = forms.CharField(
        label="Name of the folder or file",
        required=False,
        max_length=120,
        validators=[validate_slug],
    )
    _named_by = "name"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].help_text = f"Empty: {self.model.slug}, or {self.model.slug}.gguf."

    def _queued(self) -> ModelJob:
        format_ = self.cleaned_data["format"]
        name = self.cleaned_data["name"].removesuffix(".gguf") or self.model.slug
        destination = destination_for(name, format_)
        return services.order_export(model=self.model, format=format_, destination=destination)


def quantization_of(packing: str, group_size: int | None) -> Quantization | None:
    """What a choice of ``PACKINGS`` stands for; None: unpacked. Raises pydantic's ValidationError."""
    if packing == "none":
        return None
    given: dict[str, Any] = {"group_size": group_size}
    if packing.isdecimal():
        given["bits"] = int(packing)
    elif packing.startswith("mixed_"):
        given["mixed"] = packing
    else:
        given["mode"] = packing
    return Quantization.model_validate(given)


def _key(value: Any) -> int:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 18 else -1
