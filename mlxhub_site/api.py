"""The HTTP APIs: mounts every router and translates every error, once.

- ``openai_api`` under /v1: OpenAI's dialect. Docs at /v1/docs.
- ``hub_api`` under /api: what the pages do, for programs. Docs at /api/docs.
- ``admin_api`` under /admin: health, the prompt cache and the warm prompts. Docs at /admin/api/docs.
"""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, URLResolver, re_path, reverse
from django.utils.functional import cached_property
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from ninja.types import DictStrAny
from pydantic_core import from_json

from apps.audit import api as audit
from apps.datasets import api as datasets
from apps.datasets import jobs_api as dataset_jobs
from apps.datasets import rows_api as dataset_rows
from apps.datasets import uploads_api as dataset_uploads
from apps.datasets import versions_api as dataset_versions
from apps.datasets.errors import DatasetError
from apps.datasets.formats.errors import FormatError
from apps.datasets.problems import dataset_fault
from apps.discovery import api as discovery
from apps.discovery.data import api as hub_datasets
from apps.discovery.downloads import api as downloads
from apps.discovery.downloads.errors import DownloadError
from apps.discovery.errors import DiscoveryError
from apps.discovery.problems import discovery_problem, download_problem
from apps.discovery.publishing import api as publishing
from apps.discovery.publishing.errors import PublishingError
from apps.inference.api import management, model_routes, routes, text_routes
from apps.inference.api.boundary import problem_response
from apps.inference.api.bounds import OutOfBounds
from apps.inference.api.errors import (
    Problem,
    internal_problem,
    problem,
    problem_of,
    validation_problem,
)
from apps.inference.api.messages import routes as messages
from apps.inference.api.responses import routes as responses
from apps.inference.api.responses.errors import ResponsesFault, responses_problem
from apps.inference.benchmarks import api as benchmarks
from apps.inference.benchmarks.measuring.errors import BadAddress
from apps.inference.benchmarks.services import StillActive
from apps.inference.client import EngineError
from apps.inference.registry import api as models
from apps.inference.registry import jobs_api as model_jobs
from apps.inference.registry import loading_api as model_loading
from apps.inference.registry.problems import (
    BadModelSetting,
    LeftoverNotFound,
    registry_problem,
)
from apps.inference.services import ModelNotFound
from apps.inference.usage import api as usage
from apps.inference.usage.tally import current_tally
from apps.inference.warming import WarmPromptNotFound
from apps.jobs.rest import NoSuchJob
from apps.models.errors import RegistryError
from apps.playground.collecting import api as conversations
from apps.system.alerts import api as alerts
from apps.system.health import api as health
from apps.system.logs import api as logs
from apps.system.metrics import api as metrics
from apps.training import api as training
from apps.training import line_api as training_line
from apps.training.errors import TrainingError
from apps.training.evaluation import api as evaluations
from apps.training.evaluation.errors import EvaluationError
from mlxhub_site.openapi import ApiDescription

logger = logging.getLogger(__name__)


class StrictJson(Parser):
    """JSON as the standard has it: no NaN, no half surrogate pairs, no bottomless nesting."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        parsed: DictStrAny = from_json(request.body, allow_inf_nan=False)
        return parsed


class HubAPI(NinjaAPI):
    """A NinjaAPI that answers every error in OpenAI's shape.

    django-ninja puts a page at an API's root that only ever answers 404. It is
    left out, so that Django's admin keeps /admin/. Where ``owns_prefix``,
    addresses that no route takes are answered here, in the error shape, too.
    """

    def __init__(self, *, owns_prefix: bool, **options: Any) -> None:
        super().__init__(parser=StrictJson(), **options)
        self.owns_prefix = owns_prefix

    def on_exception(self, request: HttpRequest, exc: Exception | type[Exception]) -> HttpResponse:
        """Every error of every route passes here, and no other place makes it a response."""
        answer = _problem(request, exc)
        current_tally().failed(answer.body.error.code)
        return problem_response(answer, request.path)

    @cached_property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        patterns, app_name, namespace = super().urls
        patterns = [each for each in patterns if getattr(each, "name", None) != "api-root"]
        if self.owns_prefix:
            patterns.append(re_path(r"", csrf_exempt(_not_found)))
        return patterns, app_name, namespace

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: DictStrAny | None = None
    ) -> ApiDescription:
        if path_prefix is None:
            path_prefix = self.get_root_path(path_params or {})
        return ApiDescription(self, path_prefix)

    def get_root_path(self, path_params: DictStrAny) -> str:
        schema = reverse(f"{self.urls_namespace}:openapi-json", kwargs=path_params)
        return schema.removesuffix(str(self.openapi_url).lstrip("/"))


def _problem(request: HttpRequest, error: Exception | type[Exception]) -> Problem:
    match error:
        case ModelNotFound() | WarmPromptNotFound() | EngineError() | OutOfBounds():
            return problem_of(error)
        case NoSuchJob():
            return problem(404, str(error), code=error.code)
        case DiscoveryError():
            return discovery_problem(error)
        case RegistryError() | LeftoverNotFound() | BadModelSetting():
            return registry_problem(error)
        case DatasetError() | FormatError():
            status, code = dataset_fault(error)
            return problem(status, str(error), code=code)
        case DownloadError():
            return download_problem(error)
        case TrainingError():
            return training.training_problem(error)
        case PublishingError():
            return publishing.publishing_problem(error)
        case EvaluationError():
            return evaluations.evaluation_problem(error)
        case StillActive():
            return problem(409, str(error), code="benchmark_active")
        case ResponsesFault():
            return responses_problem(error)
        case BadAddress():
            return problem(400, str(error), param="base_url", code="invalid_address")
        case usage.BadUsageFilter():
            return problem(400, str(error), param=error.param, code="invalid_filter")
        case ValidationError():
            return validation_problem(error.errors)
        case RequestDataTooBig():
            limit = filesizeformat(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            message = f"The request's body is too big. At most {limit} are taken."
            return problem(413, message, code="request_too_large")
        case HttpError():
            return _http_problem(error)
        case _:
            logger.exception("%s %s failed.", request.method, request.path)
            return internal_problem()


def _http_problem(error: HttpError) -> Problem:
    """What django-ninja itself raises: above all, a body that is no JSON."""
    cause = error.__cause__
    if isinstance(cause, ValueError):
        return problem(400, f"The body is not valid JSON: {cause}.", code="invalid_json")
    return problem(error.status_code, f"{error.message}.")


def _not_found(request: HttpRequest) -> HttpResponse:
    message = f"There is nothing at {request.path}. /v1/docs lists what there is."
    return problem_response(problem(404, message, code="not_found"), request.path)


openai_api = HubAPI(
    owns_prefix=True,
    title="MLX Model Hub: OpenAI API",
    version="1",
    description="OpenAI's API and its relatives, answered on this machine.",
    docs_url="/docs",
    openapi_url="/openapi.json",
    urls_namespace="openai",
)
openai_api.add_router("", routes.router)
openai_api.add_router("", text_routes.router)
openai_api.add_router("", model_routes.router)
openai_api.add_router("/messages", messages.router)
openai_api.add_router("/responses", responses.router)

hub_api = HubAPI(
    owns_prefix=True,
    title="MLX Model Hub: API",
    version="1",
    description="Benchmarks: start, follow, read, delete. Usage: what was asked and answered. "
    "Models: list, set, convert, fuse, export, verify, delete. "
    "Discovery: search Hugging Face, judge a model. "
    "Training: examine, order, follow, stop, resume.",
    docs_url="/docs",
    openapi_url="/openapi.json",
    urls_namespace="hub",
)
hub_api.add_router("", benchmarks.router)
hub_api.add_router("", usage.router)
hub_api.add_router("", audit.router)
# Its /models/jobs comes before /models/NAME.
hub_api.add_router("", model_jobs.router)
hub_api.add_router("", models.router)
hub_api.add_router("", model_loading.router)
hub_api.add_router("", datasets.router)
hub_api.add_router("", dataset_rows.router)
hub_api.add_router("", dataset_jobs.router)
hub_api.add_router("", dataset_versions.router)
hub_api.add_router("", dataset_uploads.router)
hub_api.add_router("", conversations.router)
# Its /downloads/datasets comes before /downloads/KEY.
hub_api.add_router("", hub_datasets.router)
hub_api.add_router("", downloads.router)
hub_api.add_router("", discovery.router)
hub_api.add_router("", training.router)
hub_api.add_router("", training_line.router)
hub_api.add_router("", evaluations.router)
hub_api.add_router("", publishing.router)
hub_api.add_router("", logs.router)
hub_api.add_router("", alerts.router)

admin_api = HubAPI(
    owns_prefix=False,
    title="MLX Model Hub: management API",
    version="1",
    description="Health, the prompt cache and the warm prompts.",
    docs_url="/api/docs",
    openapi_url="/api/openapi.json",
    urls_namespace="management",
)
metrics_api = HubAPI(
    owns_prefix=False,
    title="MLX Model Hub: metrics",
    docs_url=None,
    openapi_url=None,
    urls_namespace="metrics",
)
metrics_api.add_router("", metrics.router)

admin_api.add_router("", health.router)
admin_api.add_router("", management.router)
