"""Settings: the only place that reads the environment.

``HubSettings`` is the typed object the hub is configured by; every field is an
environment variable with the prefix ``MLXHUB_`` and is listed in the README.
Apps read it as ``django.conf.settings.HUB``. Django's own settings follow from it.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal

import dj_database_url
from csp.constants import NONE, SELF
from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from apps.observability.logs import logging_config
from apps.redaction.text import hide

BASE_DIR = Path(__file__).resolve().parent.parent
PACKAGE_DIR = Path(__file__).resolve().parent


LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
"""Addresses to bind to that other machines can't reach."""

_ORIGIN = re.compile(r"https?://[^/?#\s@*,]+")


def _origins(given: object) -> object:
    """Origins as browsers send them, from a list with commas."""
    if not isinstance(given, str):
        return given
    origins = tuple(each.strip().rstrip("/").lower() for each in given.split(",") if each.strip())
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin. Write each as http://HOST:PORT.")
    return origins


def _names(given: object) -> object:
    """Host names or addresses from a list with commas."""
    if not isinstance(given, str):
        return given
    return tuple(each.strip().lower() for each in given.split(",") if each.strip())


def _addresses(given: object) -> object:
    """IP addresses from a list with commas."""
    names = _names(given)
    for name in names if isinstance(names, tuple) else ():
        try:
            ip_address(name)
        except ValueError as error:
            raise ValueError(f"{name!r} is no IP address.") from error
    return names


def _networks(given: object) -> object:
    """Addresses and networks of proxies, each written out: to trust all is to trust nobody."""
    names = _names(given)
    for name in names if isinstance(names, tuple) else ():
        try:
            ip_network(name)
        except ValueError as error:
            raise ValueError(
                f"{name!r} is neither an address nor a network. Write each as 10.0.0.2 or "
                "10.0.0.0/24."
            ) from error
    return names


def _paths(given: object) -> object:
    """Paths from a list with commas."""
    if not isinstance(given, str):
        return given
    return tuple(Path(each.strip()) for each in given.split(",") if each.strip())


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
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)] = Field(
        default=(),
        description="More names by which browsers may call the hub, with commas between them. "
        "Addresses and this machine's own name work without.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)] = Field(
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
        description="Whether every API call needs a key; empty: where other machines may call.",
    )
    tenant_isolation: bool = Field(
        default=False, description="Each API key meets only the cached prompts of its own requests."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_origins)] = Field(
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
    lm_studio_folders: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_paths)] = Field(
        default=(Path("~/.lmstudio/models"), Path("~/.cache/lm-studio/models")),
        description="Where LM Studio keeps models, with commas between the folders.",
    )
    ollama_folder: Path = Field(
        default=Path("~/.ollama/models"),
        validation_alias=AliasChoices("MLXHUB_OLLAMA_FOLDER", "OLLAMA_MODELS"),
        description="Where Ollama keeps models. `OLLAMA_MODELS` works too.",
    )
    training_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_addresses)] = Field(
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
        return self.is_open if self.require_keys is None else self.require_keys

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


HUB = HubSettings()

# What the owner keeps secret is unreadable in every log, whatever prints it.
for _name in HubSettings.model_fields:
    if isinstance(_value := getattr(HUB, _name), SecretStr):
        hide(_value.get_secret_value())


# prometheus_client reads it when it is first imported, which is later: the parts of a running
# hub count in files side by side, a command for itself.
METRICS_DIR = None if HUB.process_name == "command" else HUB.metrics_dir
if METRICS_DIR is not None:
    METRICS_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)


def _secret_key(path: Path) -> str:
    """The installation's own key, made on first use and readable by its owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Whole or not at all: Django takes no empty key, and would not start again.
        new = path.with_suffix(f".{os.getpid()}")
        new.touch(mode=0o600)
        new.write_text(secrets.token_urlsafe(50))
        new.replace(path)
    return path.read_text()


for _folder in (HUB.data_dir, HUB.engine_socket.parent, HUB.logs_dir, HUB.models_dir):
    _folder.mkdir(parents=True, exist_ok=True, mode=0o700)

SECRET_KEY = _secret_key(HUB.data_dir / "secret_key")
DEBUG = HUB.debug
# Where other machines may call, apps.inference.api.boundary checks the name.
ALLOWED_HOSTS = ["*"] if HUB.is_open else ["127.0.0.1", "localhost", "[::1]"]
ACCESS_RULES = "mlxhub_site.access.RULES"
# Rows whose coming and going is written into the audit log, and what they are called there.
AUDITED = {
    "models.LocalModel": "model",
    "models.Adapter": "adapter",
    "datasets.Dataset": "dataset",
    "datasets.DatasetVersion": "dataset-version",
    "inference.WarmPrompt": "warm-prompt",
}
# Conversations come and go by the dozen; that one is gone may matter to its writer.
AUDITED_DELETIONS = AUDITED | {"playground.Conversation": "conversation"}
LOGIN_URL = "accounts:sign_in"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Before staticfiles: both have a runserver command, and the first one counts.
    "apps.system",
    "apps.system.health",
    "apps.system.history",
    "apps.system.alerts",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "ninja",  # its pages for the API docs, served from here and not from a CDN
    "template_partials",
    "huey.contrib.djhuey",
    "apps.jobs",
    "apps.audit",
    "apps.accounts",
    "apps.models",
    "apps.models.work",
    "apps.datasets",
    "apps.inference.keys",
    "apps.inference.api.responses",
    "apps.inference.usage",
    "apps.inference",
    "apps.playground",
    "apps.playground.compare",
    "apps.discovery",
    "apps.training",
    "apps.training.tracking",
    "apps.training.evaluation",
    "apps.discovery.downloads",
    "apps.discovery.publishing",
]

MIDDLEWARE = [
    "apps.system.logs.requests.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "apps.accounts.headers.SecurityHeadersMiddleware",
    "apps.inference.api.boundary.ApiBoundaryMiddleware",
    "apps.inference.api.access.AccessMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.accounts.gate.GateMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.system.unwritable.UnwritableMiddleware",
]

ROOT_URLCONF = "mlxhub_site.urls"
ASGI_APPLICATION = "mlxhub_site.asgi.application"

# In a checkout templates and static files lie at the top level; a wheel carries
# them inside this package.
_ASSETS = BASE_DIR if (BASE_DIR / "templates").is_dir() else PACKAGE_DIR

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_ASSETS / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.accounts.context.visitor",
            ],
        },
    },
]

DATABASES = {
    "default": dj_database_url.parse(
        # Every request has a thread of its own: a connection that outlived it would serve nobody,
        # and stay open until the garbage collector comes by.
        HUB.database_url or f"sqlite:///{HUB.data_dir / 'hub.sqlite3'}",
        conn_max_age=0,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Writers take the lock at BEGIN and wait for it, instead of failing at
        # the first write of a transaction that began as a read.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    # A file, as in use: threads that share a database in memory can't wait for each other.
    DATABASES["default"]["TEST"] = {"NAME": str(HUB.data_dir / "test.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # What Hugging Face answered: the same for all processes, and there when it is not.
    "hub": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": HUB.hub_answers_dir,
        "TIMEOUT": 60 * 60 * 24 * 30,
        "OPTIONS": {"MAX_ENTRIES": 500},
    },
}

HUEY = {
    "name": "mlx-hub",
    "huey_class": "huey.RedisHuey" if HUB.huey_url else "huey.SqliteHuey",
    "immediate": False,
    "connection": {"url": HUB.huey_url} if HUB.huey_url else {},
    # Long jobs are bounded by their rows: two downloads, one heavy job on a model, one benchmark.
    # Beside all of them there is a thread for the short ones, which look for work twice a second.
    "consumer": {"workers": 6, "worker_type": "thread", "max_delay": 0.5},
}
if not HUB.huey_url:
    HUEY["filename"] = str(HUB.data_dir / "queue.sqlite3")

STATIC_URL = "/static/"
STATIC_ROOT = HUB.data_dir / "static"
STATICFILES_DIRS = [_ASSETS / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Browsers send a host's cookies to all its ports: names of our own keep out of others' way.
SESSION_COOKIE_NAME = "mlxhub_session"
SESSION_COOKIE_AGE = int(HUB.session_days * 24 * 60 * 60)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HUB.serves_https
CSRF_COOKIE_NAME = "mlxhub_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = HUB.serves_https
PASSWORD_RESET_TIMEOUT = 3 * 24 * 60 * 60
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = logging_config(process=HUB.process_name, level=HUB.log_level, form=HUB.log_format)
