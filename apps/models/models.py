"""The registry: which models and adapters this hub knows, and where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower

from apps.models.runtime.vocabulary import same_vocabulary

# What a model may be called in URLs, in the API and on the command line.
# A colon is left out: `model:adapter` chooses an adapter.
validate_slug = RegexValidator(
    r"^[a-z0-9][a-z0-9._-]*\Z",
    "Use lower-case letters, digits, dots, dashes and underscores; start with a letter or digit.",
)


# Clients may insist on names of their own, such as "openai/gpt-4o-mini".
validate_alias = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._/-]*\Z",
    "Use letters, digits, dots, dashes, underscores and slashes; start with a letter or digit.",
)


SAMPLING_FIELDS = (
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens",
)  # fmt: skip
"""What a model's row may say of how to sample from it, by the API's names."""


class LocalModelQuerySet(models.QuerySet["LocalModel"]):
    def named(self, name: str) -> LocalModelQuerySet:
        """Models that ``name`` may stand for: a slug, an alias or a hub repository id."""
        return self.filter(
            models.Q(slug=name) | models.Q(alias=name) | models.Q(repo_id=name)
        ).order_by(
            models.Case(models.When(slug=name, then=0), models.When(alias=name, then=1), default=2),
            "created_at",
        )

    def writing(self) -> LocalModelQuerySet:
        """Models that generate text."""
        return self.exclude(kind=LocalModel.Kind.EMBEDDING)

    def matching(self, text: str) -> LocalModelQuerySet:
        """Models whose name, slug, architecture or repository holds ``text``."""
        return self.filter(
            models.Q(name__icontains=text)
            | models.Q(slug__icontains=text)
            | models.Q(architecture__icontains=text)
            | models.Q(repo_id__icontains=text)
        )

    def drafts_for(self, model: LocalModel) -> LocalModelQuerySet:
        """Models that may draft for ``model``: the smaller ones that write text."""
        return self.writing().exclude(pk=model.pk).filter(parameters__lt=model.parameters)


class LocalModel(models.Model):
    """A language model on this machine: a folder that mlx-lm can load."""

    class Source(models.TextChoices):
        STARTER = "starter", "starter model"
        GGUF = "gguf", "GGUF import"
        FOLDER = "folder", "local folder"
        HUB = "hub", "Hugging Face"
        HF_CACHE = "hf_cache", "Hugging Face cache"
        LM_STUDIO = "lm_studio", "LM Studio"
        OLLAMA = "ollama", "Ollama"
        CONVERTED = "converted", "converted here"
        FUSED = "fused", "fused here"
        TRAINED = "trained", "trained here"

    class Kind(models.TextChoices):
        CHAT = "chat", "chat"
        COMPLETION = "completion", "text completion"
        EMBEDDING = "embedding", "embedding"

    slug = models.CharField(max_length=120, unique=True, validators=[validate_slug])
    name = models.CharField(max_length=200)
    path = models.CharField(max_length=1000, help_text="Folder with config.json and safetensors.")
    source = models.CharField(max_length=16, choices=Source)
    repo_id = models.CharField(max_length=200, blank=True, db_index=True)
    digest = models.CharField(
        max_length=80, help_text="Content digest of weights, tokenizer and chat template."
    )
    kind = models.CharField(
        max_length=16,
        choices=Kind,
        default=Kind.CHAT,
        help_text="What the model is for, as its files say.",
    )
    knows_tools = models.BooleanField(
        default=False, help_text="Whether its chat template has a place for tools."
    )
    reasons = models.BooleanField(
        default=False, help_text="Whether its chat template knows a reasoning part."
    )
    architecture = models.CharField(max_length=60, help_text="config.json's model_type.")
    parameters = models.BigIntegerField(help_text="Number of weights.")
    quantization = models.CharField(max_length=40, help_text='For example "4-bit" or "bfloat16".')
    size_bytes = models.BigIntegerField(help_text="Bytes of the weight files on disk.")
    context_length = models.PositiveIntegerField(help_text="Longest context, in tokens.")
    license = models.CharField(max_length=80, blank=True)
    base_repo_id = models.CharField(
        max_length=200, blank=True, help_text="The repository its card names as its base."
    )
    recommended: models.JSONField[Any, Any] = models.JSONField(
        default=dict,
        blank=True,
        help_text="Sampling that its authors recommend, from generation_config.json.",
    )
    files: models.JSONField[Any, Any] = models.JSONField(
        default=dict,
        blank=True,
        help_text="Bytes and SHA-256 of each file that the digest covers, by name.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    # Where it comes from.
    derived_from = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="derivatives",
        help_text="The model of this hub that it was made from.",
    )
    derived_adapter = models.ForeignKey(
        "Adapter",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="fused_into",
        help_text="The adapter that was fused into it.",
    )
    derivation = models.CharField(
        max_length=200, blank=True, help_text='How it was made from that one, such as "4-bit".'
    )

    # Whether its files are still what was registered.
    verified_at = models.DateTimeField(
        null=True, blank=True, help_text="When its files were last compared with their digests."
    )
    damage = models.TextField(
        blank=True, help_text="What the last comparison found changed; empty: nothing."
    )

    # How the engine is to serve it.
    alias = models.CharField(
        max_length=120,
        unique=True,
        null=True,
        blank=True,
        validators=[validate_alias],
        help_text="Another name that API calls may use, such as the one a client insists on.",
    )
    pinned = models.BooleanField(
        "keep loaded",
        default=False,
        help_text="Once loaded, it is never unloaded for others or for being idle.",
    )
    ttl_minutes = models.PositiveIntegerField(
        "unload after",
        null=True,
        blank=True,
        validators=[MaxValueValidator(525_600)],
        help_text="Minutes without use. Empty: as the hub is set. 0: never.",
    )
    draft = models.ForeignKey(
        "self",
        verbose_name="draft model",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="drafts_for",
        help_text="A smaller model with the same vocabulary. It proposes tokens that this one "
        "checks, several at once: faster, and the same answer.",
    )

    # What a chat or a call that says nothing of it gets. Empty: as its authors recommend.
    temperature = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(2)]
    )
    top_p = models.FloatField(
        "top p", null=True, blank=True, validators=[MinValueValidator(0.01), MaxValueValidator(1)]
    )
    top_k = models.PositiveIntegerField(
        "top k",
        null=True,
        blank=True,
        validators=[MaxValueValidator(1_000_000)],
        help_text="0 turns it off.",
    )
    min_p = models.FloatField(
        "min p", null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(1)]
    )
    repetition_penalty = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.01), MaxValueValidator(10)],
        help_text="Above 1 discourages repeats.",
    )
    max_tokens = models.PositiveIntegerField(
        "longest answer",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="In tokens. Empty: as long as the context allows.",
    )
    context_limit = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(64)],
        help_text="Tokens of context it may use, to save memory. Empty: all that it has.",
    )
    system_prompt = models.TextField(
        blank=True,
        max_length=100_000,
        help_text="Begins every chat that brings no system prompt of its own.",
    )

    objects = LocalModelQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        indexes = (
            # What the Models page sorts by, with the key that breaks ties.
            models.Index(Lower("name"), "id", name="model_by_name"),
            models.Index(Lower("quantization"), "id", name="model_by_quantization"),
            models.Index("size_bytes", "id", name="model_by_size"),
            models.Index("parameters", "id", name="model_by_parameters"),
            models.Index("context_length", "id", name="model_by_context"),
            models.Index("created_at", "id", name="model_by_age"),
            models.Index("digest", name="model_by_digest"),
        )
        constraints = (
            models.CheckConstraint(
                condition=models.Q(draft=None) | ~models.Q(draft=models.F("id")),
                name="no_model_drafts_for_itself",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def embeds(self) -> bool:
        """Whether it makes vectors, and no text."""
        return self.kind == self.Kind.EMBEDDING

    @property
    def is_quantized(self) -> bool:
        """Whether its matrices are packed."""
        return self.quantization.endswith("-bit")

    @property
    def sampling(self) -> dict[str, float]:
        """What a call that says nothing of it samples with, by the API's names.

        The owner's defaults where there are any, else what the authors recommend.
        """
        own = {name: getattr(self, name) for name in SAMPLING_FIELDS}
        return {**self.recommended, **{name: v for name, v in own.items() if v is not None}}

    def clean(self) -> None:
        """Refuse an alias that is another model's name, and a draft that does not fit.

        Whether a draft can propose tokens for this model is told as far as the files tell.
        """
        if self.alias and LocalModel.objects.exclude(pk=self.pk).named(self.alias).exists():
            raise ValidationError(
                {"alias": f"Another model is called {self.alias} already. Choose another name."}
            )
        if self.context_limit is not None and self.context_limit > self.context_length:
            raise ValidationError(
                {
                    "context_limit": f"{self.name} holds {self.context_length} tokens. Choose "
                    "fewer, or leave it empty."
                }
            )
        if self.draft is None:
            return
        if self.draft == self:
            raise ValidationError(
                {"draft": "A model can't be its own draft. Choose a smaller one."}
            )
        if same_vocabulary(Path(self.path), Path(self.draft.path)) is False:
            raise ValidationError(
                {
                    "draft": f"{self.draft.name} has another vocabulary than {self.name}. "
                    "Choose a model of the same family, or none."
                }
            )


class AdapterQuerySet(models.QuerySet["Adapter"]):
    def named(self, base: LocalModel, name: str) -> AdapterQuerySet:
        """The adapter over ``base`` that ``name`` stands for: none or one."""
        return self.filter(base=base, slug=name)


class Adapter(models.Model):
    """A LoRA adapter over one base model."""

    base = models.ForeignKey(LocalModel, on_delete=models.PROTECT, related_name="adapters")
    slug = models.CharField(max_length=120, validators=[validate_slug])
    name = models.CharField(max_length=200)
    path = models.CharField(max_length=1000, help_text="Folder with adapters.safetensors.")
    digest = models.CharField(max_length=80)
    rank = models.PositiveIntegerField(null=True, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="successors",
        help_text="The adapter that its training went on from.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AdapterQuerySet.as_manager()

    class Meta:
        ordering = ("base", "name")
        constraints = (
            models.UniqueConstraint(fields=("base", "slug"), name="one_slug_per_base_model"),
        )

    def __str__(self) -> str:
        return f"{self.base.slug}:{self.slug}"
