"""Django's settings: they follow from the hub's own (``mlxhub_site.hub_settings``).

Apps read those as ``django.conf.settings.HUB``.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from pydantic import SecretStr

from apps.observability.logs import logging_config
from apps.redaction.text import hide
from mlxhub_site.hub_settings import HubSettings

BASE_DIR = Path(__file__).resolve().parent.parent
PACKAGE_DIR = Path(__file__).resolve().parent


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
ALLOWED_HOSTS = ["*"] if HUB.is_open else ["127.0.0.1", "localhost", "[::1]", *HUB.allowed_hosts]
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

# All of them answer on the event loop; one that does not would put all before it into a thread.
MIDDLEWARE = [
    "apps.system.logs.requests.RequestLogMiddleware",
    "mlxhub_site.middleware.Security",
    "mlxhub_site.middleware.SecurityHeaders",
    "mlxhub_site.middleware.ApiBoundary",
    "apps.inference.api.access.AccessMiddleware",
    "mlxhub_site.middleware.StaticFiles",
    "mlxhub_site.middleware.ContentSecurityPolicy",
    "mlxhub_site.middleware.Sessions",
    "mlxhub_site.middleware.Common",
    "mlxhub_site.middleware.Csrf",
    "mlxhub_site.middleware.Authentication",
    "apps.accounts.gate.GateMiddleware",
    "mlxhub_site.middleware.Messages",
    "mlxhub_site.middleware.Clickjacking",
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
        else "apps.system.stylesheets.SheetsStorage"
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
