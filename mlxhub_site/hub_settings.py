"""The hub's configuration: every environment variable it knows, in one typed object.

Every field is an environment variable with the prefix ``MLXHUB_`` and is listed in the
README. ``mlxhub_site.settings`` reads it once; apps find it as ``django.conf.settings.HUB``.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mlxhub_site.listed_settings import Addresses, Names, Networks, Origins, Paths

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
"""Addresses to bind to that other machines can't reach."""


class HubSettings(BaseSettings):
    """The hub's configuration. A wrong value stops the start with pydantic's message."""

    model_config = SettingsConfigDict(env_prefix="MLXHUB_", frozen=True)

    home: Path = Field(
        default=Path("~/.mlx-hub"), description="Data folder; everything in it is the hub's own."
    )
    host: str = Field(default="127.0.0.1", description="Address the web server binds to.")
    port: int = Field(default=8080, ge=1, le=65535, description="Port the web server binds to.")
    drain_seconds: float = Field(
        default=15, ge=0, description="How long answers may go on while the hub stops."
    )
    debug: bool = Field(default=False, description="Django's debug pages; for development only.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much the processes log."
    )
    log_format: Literal["text", "json"] = Field(
        default="text",
        description="Lines for people or JSON lines. `mlx-hub up` has its processes write JSON.",
    )
    process_name: str = Field(
        default="command",
        description="What this process is called in its log lines; `mlx-hub up` sets it.",
    )
    database_url: str = Field(
        default="",
        validation_alias=AliasChoices("MLXHUB_DATABASE_URL", "DATABASE_URL"),
        description="Database; empty: SQLite in the data folder. `DATABASE_URL` works too.",
    )
    huey_url: str = Field(
        default="",
        validation_alias=AliasChoices("MLXHUB_HUEY_URL", "HUEY_URL"),
        description="Task queue on Redis or Valkey; empty: SQLite in the data folder. "
        "`HUEY_URL` works too.",
    )
    starter: bool = Field(
        default=True, description="Register the starter model on first start, if it is installed."
    )
    memory_ceiling_gb: float | None = Field(
        default=None, gt=0, description="Memory the engine may use; empty: three quarters."
    )
    model_ttl_minutes: float = Field(
        default=60, ge=0, description="Idle models are unloaded after this; 0 keeps them."
    )
    max_batch: int = Field(default=16, ge=1, description="Sequences the engine decodes at once.")
    max_queue: int = Field(
        default=64, ge=1, description="Requests that may wait; one more is answered with 429."
    )
    prompt_cache_entries: int = Field(
        default=10, ge=0, description="Prompt cache entries held in memory."
    )
    prompt_cache_gb: float = Field(
        default=2.0, ge=0, description="Prompt cache budget in memory, in GiB."
    )
    prompt_cache_disk_gb: float = Field(
        default=8.0, ge=0, description="Prompt cache budget on disk, in GiB; 0 keeps it off disk."
    )
    prompt_cache_kv_bits: Annotated[Literal[4, 8], BeforeValidator(int)] | None = Field(
        default=None, description="Keep cached KV in 8 or 4 bits; empty: as computed."
    )
    response_cache_mb: float = Field(
        default=0, ge=0, description="Memory for exact repeats at temperature 0; 0: off."
    )
    response_cache_ttl_minutes: float = Field(
        default=60, gt=0, description="How long such a response may be repeated."
    )
    stored_response_days: float = Field(
        default=30, ge=0, description="How long /v1/responses keeps unused ones; 0: it keeps none."
    )
    require_login: bool | None = Field(
        default=None,
        description="Whether pages ask for a sign-in; empty: where other machines may call.",
    )
    allowed_hosts: Names = Field(
        default=(),
        description="More names by which browsers may call the hub, with commas between them. "
        "Addresses and this machine's own name work without.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Addresses or networks of reverse proxies whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed, with commas. Pages then ask for a sign-in.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="Certificate chain (PEM) to serve HTTPS with; with MLXHUB_TLS_KEY.",
    )
    tls_key: Path | None = Field(default=None, description="The certificate's private key (PEM).")
    session_days: float = Field(
        default=14, gt=0, description="A sign-in ends after so many days, whatever is done."
    )
    session_idle_hours: float = Field(
        default=72, gt=0, description="A sign-in ends after so many hours in which nothing is done."
    )
    audit_days: int = Field(
        default=365, ge=0, description="How long the audit log is kept; 0: for ever."
    )
    require_keys: bool | None = Field(
        default=None,
        description="Whether every API call needs a key; empty: where pages ask for a sign-in, "
        "or other machines may call.",
    )
    tenant_isolation: bool = Field(
        default=False, description="Each API key meets only the cached prompts of its own requests."
    )
    cors_origins: Origins = Field(
        default=(), description="Web pages that may call /v1, as origins with commas between them."
    )
    usage_days: int = Field(
        default=90, ge=0, description="How long records of requests are kept; 0: for ever."
    )
    log_prompts: bool = Field(
        default=False, description="Keep the text of API requests and answers in their records."
    )
    max_messages: int = Field(default=5000, ge=1, description="Messages of one conversation.")
    max_prompt_characters: int = Field(
        default=2_000_000, ge=1, description="Characters of one prompt."
    )
    hf_endpoint: str = Field(
        default="https://huggingface.co",
        pattern=r"^https?://\S+$",
        validation_alias=AliasChoices("MLXHUB_HF_ENDPOINT", "HF_ENDPOINT"),
        description="Hugging Face, or a mirror of it. `HF_ENDPOINT` works too.",
    )
    hf_token: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("MLXHUB_HF_TOKEN", "HF_TOKEN"),
        description="Access token for gated and private repositories; empty: the one that "
        "`hf auth login` stored. `HF_TOKEN` works too.",
    )
    hf_offline: bool = Field(
        default=False,
        validation_alias=AliasChoices("MLXHUB_HF_OFFLINE", "HF_HUB_OFFLINE"),
        description="Ask Hugging Face nothing; Discover shows what it kept. `HF_HUB_OFFLINE` "
        "works too.",
    )
    hf_cache: Path = Field(
        default=Path("~/.cache/huggingface/hub"),
        validation_alias=AliasChoices("MLXHUB_HF_CACHE", "HF_HUB_CACHE"),
        description="Where other programs keep what they downloaded from Hugging Face. "
        "`HF_HUB_CACHE` works too.",
    )
    lm_studio_folders: Paths = Field(
        default=(Path("~/.lmstudio/models"), Path("~/.cache/lm-studio/models")),
        description="Where LM Studio keeps models, with commas between the folders.",
    )
    ollama_folder: Path = Field(
        default=Path("~/.ollama/models"),
        validation_alias=AliasChoices("MLXHUB_OLLAMA_FOLDER", "OLLAMA_MODELS"),
        description="Where Ollama keeps models. `OLLAMA_MODELS` works too.",
    )
    training_hosts: Addresses = Field(
        default=(),
        description="IP addresses of machines that train together, with commas, this one first; "
        "empty: this one alone.",
    )
    track_runs: bool = Field(default=True, description="Tell MLflow of every training run.")
    mlflow_tracking_uri: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("MLXHUB_MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_URI"),
        description="MLflow's server or database; empty: a store in the data folder. "
        "`MLFLOW_TRACKING_URI` works too.",
    )

    @property
    def keys_required(self) -> bool:
        """Whether an API call needs a key."""
        if self.require_keys is not None:
            return self.require_keys
        # Whoever has people sign in expects others, however their calls come in.
        return self.is_open or self.sign_in_required

    @property
    def is_open(self) -> bool:
        """Whether other machines may reach the web server, straight or through a proxy."""
        return bool(self.trusted_proxies) or self.host not in LOOPBACK_HOSTS

    @property
    def sign_in_required(self) -> bool:
        """Whether pages are for those alone who signed in."""
        return self.is_open if self.require_login is None else self.require_login

    @property
    def serves_https(self) -> bool:
        return self.tls_cert is not None

    @property
    def own_names(self) -> frozenset[str]:
        """Names by which a browser may call the hub, beside any network address."""
        name = socket.gethostname().lower()
        short = name.partition(".")[0]
        return frozenset({"localhost", name, short, f"{short}.local", *self.allowed_hosts})

    @model_validator(mode="after")
    def _has_both_of_tls(self) -> HubSettings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("HTTPS takes both MLXHUB_TLS_CERT and MLXHUB_TLS_KEY.")
        return self

    @property
    def data_dir(self) -> Path:
        return self.home.expanduser().resolve()

    @property
    def engine_socket(self) -> Path:
        return self.data_dir / "run" / "engine.sock"

    @property
    def web_pid_file(self) -> Path:
        """Which process took over the web server's socket last."""
        return self.data_dir / "run" / "web.pid"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def metrics_dir(self) -> Path:
        """Files in which web and worker processes count; cleared when the hub starts."""
        return self.data_dir / "run" / "metrics"

    @property
    def models_dir(self) -> Path:
        return self.data_dir / "models"

    @property
    def uploads_dir(self) -> Path:
        return self.data_dir / "uploads"

    @property
    def adapters_dir(self) -> Path:
        return self.data_dir / "adapters"

    @property
    def runs_dir(self) -> Path:
        return self.data_dir / "runs"

    @property
    def mlflow_dir(self) -> Path:
        return self.data_dir / "mlflow"

    @property
    def datasets_dir(self) -> Path:
        return self.data_dir / "datasets"

    @property
    def exports_dir(self) -> Path:
        return self.data_dir / "exports"

    @property
    def measured_loads_file(self) -> Path:
        return self.data_dir / "cache" / "measured-loads.json"

    @property
    def prompt_cache_dir(self) -> Path:
        return self.data_dir / "cache" / "prompts"

    @property
    def hub_answers_dir(self) -> Path:
        return self.data_dir / "cache" / "hub"
