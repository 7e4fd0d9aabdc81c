"""Settings: the only place that reads the environment.

``HubSettings`` is the typed object the hub is configured by; every field is an
environment variable with the prefix ``MLXHUB_`` and is listed in the README.
Apps read it as ``django.conf.settings.HUB``. Django's own settings follow from it.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Annotated, Literal

import dj_database_url
from csp.constants import NONE, SELF
from pydantic import AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

BASE_DIR = Path(__file__).resolve().parent.parent
PACKAGE_DIR = Path(__file__).resolve().parent


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
    debug: bool = Field(default=False, description="Django's debug pages; for development only.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much the processes log."
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

    @property
    def keys_required(self) -> bool:
        """Whether an API call needs a key."""
        return self.is_open if self.require_keys is None else self.require_keys

    @property
    def is_open(self) -> bool:
        """Whether other machines may reach the web server."""
        return self.host not in {"127.0.0.1", "localhost", "::1"}

    @property
    def data_dir(self) -> Path:
        return self.home.expanduser().resolve()

    @property
    def engine_socket(self) -> Path:
        return self.data_dir / "run" / "engine.sock"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

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
ALLOWED_HOSTS = ["*"] if HUB.is_open else ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    # Before staticfiles: both have a runserver command, and the first one counts.
    "apps.system",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "ninja",  # its pages for the API docs, served from here and not from a CDN
    "template_partials",
    "huey.contrib.djhuey",
    "apps.jobs",
    "apps.models",
    "apps.models.work",
    "apps.datasets",
    "apps.inference.keys",
    "apps.inference.api.responses",
    "apps.inference.usage",
    "apps.inference",
    "apps.playground",
    "apps.discovery",
    "apps.training",
    "apps.discovery.downloads",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "apps.inference.api.boundary.ApiBoundaryMiddleware",
    "apps.inference.api.access.AccessMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
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
            ],
        },
    },
]

DATABASES = {
    "default": dj_database_url.parse(
        HUB.database_url or f"sqlite:///{HUB.data_dir / 'hub.sqlite3'}", conn_max_age=60
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
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": HUB.log_level.upper()},
    # It logs every address it opens, and a download's address is signed: a secret.
    "loggers": {"httpx2": {"level": "WARNING"}},
}
