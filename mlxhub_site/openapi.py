"""What the APIs say about themselves: django-ninja's OpenAPI documents, with what they lack.

- A component per schema. django-ninja names components after their class, so that of two
  classes of one name only the last would be described. Here pydantic makes all of an API's
  schemas at once: it tells names apart, and requests from answers where those differ.
- What every route may answer: access, sizes and the hub's own failures are settled around
  the routes (``apps.inference.api.access``, ``boundary``), so no route declares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from ninja import NinjaAPI
from ninja.constants import NOT_SET
from ninja.openapi.schema import BODY_CONTENT_TYPES, REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation
from ninja.schema import NinjaGenerateJsonSchema
from ninja.types import DictStrAny
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from apps.inference.api.errors import ErrorResponse
from apps.inference.api.messages.errors import PATH as ANTHROPIC_PATH
from apps.inference.api.messages.errors import AnthropicError, speaks_anthropic

Wanted = tuple[type[BaseModel], JsonSchemaMode]

ERRORS = (ErrorResponse, AnthropicError)
"""The second is for what speaks Anthropic's dialect."""

_QUESTION: JsonSchemaMode = "validation"
_ANSWER: JsonSchemaMode = "serialization"


class ApiDescription(OpenAPISchema):
    """The OpenAPI document of one API."""

    def __init__(self, api: NinjaAPI, path_prefix: str) -> None:
        errors = ERRORS if ANTHROPIC_PATH.startswith(path_prefix) else ERRORS[:1]
        wanted: list[Wanted] = [(error, _ANSWER) for error in errors]
        wanted += list(dict.fromkeys(_schemas(api)))
        self._made, made = models_json_schema(
            wanted, ref_template=REF_TEMPLATE, schema_generator=NinjaGenerateJsonSchema
        )
        self._components: DictStrAny = made.get("$defs", {})
        super().__init__(api, path_prefix)

    def get_paths(self) -> DictStrAny:
        paths = super().get_paths()
        for path, operations in paths.items():
            for method, operation in operations.items():
                _add_common_answers(operation, method, self._error_schema(path))
        return paths

    def get_components(self) -> DictStrAny:
        wrappers = {self._name_of(wanted) for wanted in self._made if wanted[0] not in ERRORS}
        named = {name: it for name, it in self._components.items() if name not in wrappers}
        self.schemas.update(named)
        return super().get_components()

    def _create_schema_from_model(
        self,
        model: Any,
        by_alias: bool = True,
        remove_level: bool = True,
        mode: JsonSchemaMode = _QUESTION,
    ) -> tuple[DictStrAny, bool]:
        """django-ninja wraps each body and each answer in a model with a single field."""
        wrapper = self._components[self._name_of((model, mode))]
        if not remove_level or len(wrapper["properties"]) != 1:
            return wrapper, True
        ((name, schema),) = wrapper["properties"].items()
        return schema, name in wrapper.get("required", [])

    def _error_schema(self, path: str) -> DictStrAny:
        error = AnthropicError if speaks_anthropic(path) else ErrorResponse
        return self._made[error, _ANSWER]

    def _name_of(self, wanted: tuple[Any, JsonSchemaMode]) -> str:
        reference: str = self._made[wanted]["$ref"]
        return reference.removeprefix(REF_TEMPLATE.format(model=""))


def _schemas(api: NinjaAPI) -> Iterator[Wanted]:
    for router in api._get_bound_routers():
        for view in router.path_operations.values():
            for operation in view.operations:
                yield from _schemas_of(operation)


def _schemas_of(operation: Operation) -> Iterator[Wanted]:
    for model in operation.models:
        if model.__ninja_param_source__ in BODY_CONTENT_TYPES:
            yield model, _QUESTION
    for answer in operation.response_models.values():
        if answer not in (None, NOT_SET):
            yield answer, _ANSWER


def _add_common_answers(operation: DictStrAny, method: str, error: DictStrAny) -> None:
    """The answers that come from around a route; what it says itself of a status stays."""
    statuses = {401, 403, 431, 500}
    if operation.get("parameters") or "requestBody" in operation:
        statuses.add(400)
    if "requestBody" in operation:
        statuses.add(413)
    answers = operation["responses"]
    for status in sorted(statuses - answers.keys()):
        answers[status] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": error}},
        }
