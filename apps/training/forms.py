"""The form that orders a training job. What is left empty is chosen for the job."""

from __future__ import annotations

from typing import Any

from django import forms
from pydantic import ValidationError

from apps.models.models import Adapter, LocalModel
from apps.training.data_input import DataInput, trainable
from apps.training.errors import BadOrder, BadStart
from apps.training.form_settings import NESTED, nested
from apps.training.orders import completed
from apps.training.sources import Source, source_named
from apps.training.trainer.config import TrainingConfig

OPTIMIZERS = ("adam", "adamw", "muon", "sgd", "adafactor")

_CHOSEN = "automatic"
"""What a number field shows while it is empty."""


def _number(label: str, hint: str = "", *, empty: str = _CHOSEN) -> forms.Field:
    widget = forms.TextInput(attrs={"inputmode": "decimal", "placeholder": empty})
    return forms.CharField(
        label=label, help_text=hint, required=False, max_length=30, widget=widget
    )


def _switch(label: str, hint: str = "") -> forms.Field:
    return forms.BooleanField(label=label, help_text=hint, required=False)


class OrderForm(forms.Form):
    """Numbers are taken as they are written: TrainingConfig checks them, and says what is wrong."""

    model = forms.ChoiceField(label="Model")
    folder = forms.CharField(label="Data", max_length=1000, widget=DataInput())
    name = forms.CharField(
        label="Name",
        max_length=120,
        help_text="Of the result. API calls use it in small letters behind the model's.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    objective = forms.ChoiceField(
        label="Objective",
        choices=(
            ("", "what the data is for"),
            ("sft", "Learn the answers"),
            ("dpo", "Prefer answers (DPO)"),
            ("orpo", "Learn and prefer (ORPO)"),
        ),
        required=False,
        help_text="Preferences are learnt from rows with a chosen and a rejected answer.",
    )
    method = forms.ChoiceField(
        label="Method",
        choices=(
            ("", "LoRA, or as it starts from"),
            ("lora", "LoRA"),
            ("dora", "DoRA"),
            ("full", "All weights"),
        ),
        required=False,
        help_text="LoRA and DoRA make a small adapter, all weights a model of its own.",
    )
    resume_adapter_file = forms.ChoiceField(
        label="Start from",
        required=False,
        help_text="An adapter of the same model. Method, rank, scale and layers are then the "
        "adapter's where nothing else is set.",
    )
    iters = _number("Steps", "Batches to compute.")
    batch_size = _number("Batch size", "Rows of a step.")
    learning_rate = _number("Learning rate", "Such as 1e-4.")
    max_seq_length = _number("Length limit", "Tokens; longer rows are cut.")
    num_layers = _number("Layers", "From the last; -1: all.")
    mask_prompt = _switch("Learn the answers alone", "Prompts are seen and not learnt.")

    lora__rank = _number("Rank", "8 where it starts from none.")
    lora__scale = _number("Scale", "Alpha divided by rank; 20 where it starts from none.")
    lora__dropout = _number("Dropout", empty="0")
    lora__keys = forms.CharField(
        label="Layer keys",
        required=False,
        max_length=2000,
        help_text="Such as self_attn.q_proj, self_attn.v_proj. Empty: all.",
    )
    optimizer = forms.ChoiceField(
        label="Optimiser", choices=[(name, name) for name in OPTIMIZERS], required=False
    )
    optimizer_options = forms.CharField(
        label="Its options",
        required=False,
        max_length=500,
        help_text="Such as weight_decay: 0.01, eps: 1e-8",
    )
    schedule__kind = forms.ChoiceField(
        label="Learning rate over time",
        choices=(("constant", "constant"), ("linear", "linear"), ("cosine", "cosine")),
        required=False,
    )
    schedule__warmup = _number("Warm-up", "Updates in which it rises from 0.", empty="0")
    schedule__final = _number("Left at the end", "Share of it, 0 to 1.", empty="0")
    max_grad_norm = _number("Longest gradient", empty="no limit")
    accumulation = _number("Batches per update", empty="1")
    gradient_checkpointing = forms.ChoiceField(
        label="Gradient checkpointing",
        choices=(("", "as memory allows"), ("true", "on"), ("false", "off")),
        required=False,
        help_text="Activations are computed again instead of kept: less memory, slower.",
    )
    prompts = forms.CharField(
        label="Prompts to answer at each evaluation",
        required=False,
        max_length=100_000,
        help_text="One a line.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    prompt_tokens = _number("Tokens of such an answer", empty="64")
    steps_per_report = _number("Steps per report")
    steps_per_eval = _number("Steps per evaluation")
    val_batches = _number("Validation batches", "-1: all.", empty="25")
    test = forms.ChoiceField(
        label="Measure the result on the test rows",
        choices=(("", "where there are any"), ("true", "yes"), ("false", "no")),
        required=False,
    )
    test_batches = _number("Test batches", "-1: all.", empty="500")
    patience = _number(
        "Patience",
        "Evaluations without a better one before the run ends.",
        empty="never ends early",
    )
    keep_best = _switch("Keep the best", "The result has the lowest validation loss.")
    steps_per_save = _number("Steps per checkpoint")
    keep_checkpoints = _number("Checkpoints kept", empty="2")
    seed = _number("Seed", empty="0")

    beta = _number(
        "Beta",
        "DPO: how closely it keeps to what it was. ORPO: how much the preference counts.",
        empty="0.1",
    )
    preference_loss = forms.ChoiceField(
        label="Loss of DPO",
        choices=(("sigmoid", "sigmoid"), ("hinge", "hinge"), ("ipo", "IPO")),
        required=False,
    )

    config = forms.CharField(
        label="Settings as YAML",
        required=False,
        max_length=100_000,
        help_text="As mlx_lm.lora --config takes them.",
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
    )

    simple = (
        "objective", "beta", "preference_loss", "method", "resume_adapter_file", "iters",
        "batch_size", "learning_rate", "max_seq_length", "num_layers", "mask_prompt",
    )  # fmt: skip
    advanced = (
        ("Adapter", ("lora__rank", "lora__scale", "lora__dropout", "lora__keys")),
        (
            "Optimiser",
            (
                "optimizer", "optimizer_options", "schedule__kind", "schedule__warmup",
                "schedule__final", "max_grad_norm", "accumulation",
            ),
        ),
        (
            "Watching",
            (
                "steps_per_report", "steps_per_eval", "val_batches", "test", "test_batches",
                "patience", "keep_best", "prompt_tokens", "prompts",
            ),
        ),
        (
            "Memory, checkpoints, chance",
            ("gradient_checkpointing", "steps_per_save", "keep_checkpoints", "seed"),
        ),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model = self.fields["model"]
        assert isinstance(model, forms.ChoiceField)
        models = LocalModel.objects.writing().order_by("name")
        model.choices = [(one.slug, one.name) for one in models]
        start = self.fields["resume_adapter_file"]
        assert isinstance(start, forms.ChoiceField)
        names = map(str, Adapter.objects.select_related("base").order_by("base__slug", "slug"))
        start.choices = [("", "no adapter"), *((name, name) for name in names)]
        data = self.fields["folder"].widget
        assert isinstance(data, DataInput)
        data.datasets = trainable()
        self.has_datasets = bool(data.datasets)
        self.whole: TrainingConfig | None = None
        """The checked configuration, with what was chosen, of a valid form."""
        self.source: Source | None = None
        """What the data's name stands for, of a valid form."""

    @property
    def simple_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.simple]

    @property
    def advanced_groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        return [(title, [self[name] for name in names]) for title, names in self.advanced]

    @property
    def has_advanced_errors(self) -> bool:
        """Whether the fields that begin folded away have to be shown."""
        return any(self[name].errors for _, names in self.advanced for name in names)

    @property
    def base(self) -> LocalModel:
        """Of a form whose model is valid."""
        return LocalModel.objects.get(slug=self.cleaned_data["model"])

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if self.errors:
            return cleaned
        try:
            self.source = source_named(cleaned["folder"])
        except BadOrder as error:
            self.add_error("folder", str(error))
            return cleaned
        try:
            self.whole = completed(
                base=self.base, data=self.source.folder, settings=nested(cleaned)
            )
        except BadOrder as error:
            for field, text in self._told(error):
                self.add_error(field, text)
        return cleaned

    def _told(self, error: BadOrder) -> list[tuple[str | None, str]]:
        """What is wrong, each beside its field; as a whole where one of it has none here."""
        refused = error.__cause__.__cause__ if error.__cause__ else None
        if isinstance(refused, ValidationError):
            told = [(NESTED.join(map(str, each["loc"])), each["msg"]) for each in refused.errors()]
            if all(field in self.fields for field, _ in told):
                return [(field, f"{text.removeprefix('Value error, ')}.") for field, text in told]
        return [(_field_of(error), str(error))]


def _field_of(error: BadOrder) -> str | None:
    """Which field it is about; None: it can't be told."""
    if isinstance(error, BadStart):
        return "resume_adapter_file"
    return "folder" if "jsonl" in str(error) else None
