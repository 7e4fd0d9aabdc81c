"""Every answer of the three APIs is the one that their OpenAPI documents promise.

schemathesis reads the documents, so a route that is added is tested from then on. For each
it makes the requests that cover the schema (each limit, each missing, wrong and extra field,
each method that is not offered) and CONTRACT_CASES random ones, and holds each answer
against all of its checks. It is the real server in front, and the scripted engine behind.

`make contract` does the same with more random cases.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django.fixtures import Settings
from schemathesis import Case, CheckContext
from schemathesis.core.transport import Response
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from apps.discovery.tests.hub_search import Catalogue
from apps.discovery.tests.hub_server import Exchange, HubServer
from apps.inference.benchmarks.tests.runs import make_run
from apps.inference.models import WarmPrompt
from apps.inference.tests.conftest import Hub, hub, served
from apps.models.models import LocalModel
from apps.training.tests.jobs import make_job
from mlxhub_site.api import HubAPI, admin_api, hub_api, openai_api
from tests.engine_scripts import cache_entry
from tests.fake_engine import FakeEngine
from tests.registry import make_model

__all__ = ["hub", "served"]

RANDOM_CASES = int(os.environ.get("CONTRACT_CASES", "10"))
"""For each route, beside those that cover its schema."""

EMBEDDING_ROUTES = frozenset({"/v1/embeddings", "/v1/rerank"})

Send = Callable[[Case], object]

RULES = (
    # Which fields go together.
    r"content: Input should be a string or a list of text parts",  # null only beside calls
    r"tool_call_id: A message with the role tool has it",
    r"tool_calls: Only an assistant's message has calls",
    r"content: A (user's|system) message takes no",
    r"content: Results of tools belong into the user's message",
    r"messages: The last message is the assistant's",
    r"messages: Give either prompt or messages",
    r"Give exactly one of json, regex, choice and grammar",
    r"json_schema and the type json_schema go together",
    r"response_format says already",
    r"top_logprobs: It needs logprobs",
    r"max_tokens: Input should be at least 1 where echo is not true",
    r"suffix: It (goes with one prompt|does not go together with echo)",
    r"best_of: Input should be n",
    r"prompt and n ask for",
    r"There is nothing to answer",
    r"fixes bits and group size itself",
    # What is named has to be there, and only once.
    r"tool_choice: (.* is not among the tools|There is no tool|There are no tools|Not among)",
    r"tool_choice: It needs tools",
    r"tools: (.* is defined more than once|.* tools are called|Two tools have the same name)",
    r"The tool_result in message \d+ is for",
    r"The function_call_output for .* has no function_call",
    r"There is no (response|item) ",
    r"Select a valid choice",
    r"does not understand the request",  # a cursor that Hugging Face never gave out
    r"There is no (train\.jsonl|dataset) |A folder is named by its path",
    r"No safer settings are known|has no checkpoint",
    r"No (whole answer|preference pair|answer in these conversations)",
    # Settings of the trainer, which are documented where they are checked, and its YAML.
    r"The settings (can't be used|are no YAML)|The YAML holds no settings|lr_schedule can't be used",
    # What a sweep varies, and how: named where it is combined.
    r"can't be tried in several values",
    # Days in their order, and in this time of ours.
    r"The first day is after the last|Ensure this value is",
    # Texts in a language of their own.
    r"The schema is no valid JSON",
    r"can't be a model's name",
    r"there is nothing to ask|rows are to be asked|is no dataset: write its name",
    r"The (regular expression|JSON Schema) can't be used",
    r"Name the repository with its owner|came from elsewhere as it is",
    r"is no address|The address may hold",
    r"Files of this kind are not read here|That needs .* GB on the disk",
)
"""Why a body may be refused that its schema allows: what JSON Schema has no words for, or
none that a reader of the documents would thank us for. Everything else is a fault."""

_RULE = re.compile("|".join(RULES))


def _described(api: HubAPI) -> BaseSchema:
    schema = schemathesis.openapi.from_dict(api.get_openapi_schema())
    schema.config.generation.update(max_examples=RANDOM_CASES, deterministic=True)
    return schema


openai_schema, hub_schema, admin_schema = map(_described, (openai_api, hub_api, admin_api))

unhurried = hypothesis_settings(deadline=None, suppress_health_check=list(HealthCheck))
"""How long a case takes, and how hard it is to find, says nothing about the hub."""


@openai_schema.parametrize()
@unhurried
def test_openais_api_keeps_its_word(case: Case, send: Send) -> None:
    send(case)


@hub_schema.parametrize()
@unhurried
def test_the_hubs_api_keeps_its_word(case: Case, send: Send) -> None:
    send(case)


@admin_schema.parametrize()
@unhurried
def test_the_management_api_keeps_its_word(case: Case, send: Send) -> None:
    send(case)


# --- the hub that is asked ------------------------------------------------------


@pytest.fixture
def send(hub: Hub, known: dict[str, Any]) -> Send:
    """Sends a case to a hub that has one of everything, and checks the answer."""
    turns = cycle((True, False))

    def _send(case: Case) -> None:
        if case.meta is not None and case.meta.generation.mode.is_positive:
            _name_what_is_there(case, known, ids=next(turns))
        case.call_and_validate(
            base_url=hub.url,
            excluded_checks=[positive_data_acceptance, negative_data_rejection],
            additional_checks=[takes_what_it_documents, refuses_what_it_does_not],
        )

    return _send


@pytest.fixture
def known(tiny: LocalModel, fake_engine: FakeEngine, elsewhere: HubServer) -> dict[str, str | int]:
    """One of everything; where it is found, by the names that paths have for it."""
    make_model("embedder", kind=LocalModel.Kind.EMBEDDING)
    WarmPrompt.objects.create(name="helper", model=tiny, system_prompt="Be brief.")
    fake_engine.entries["entry1"] = cache_entry("entry1")
    key = make_run().pk
    make_job(tiny, pk=key)
    return {"model_id": "tiny", "key": key, "entry_id": "entry1"}


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[HubServer]:
    """What the hub takes for Hugging Face: no test may ask the real one."""
    with HubServer() as server:
        Catalogue(server).add("acme/Tiny-4bit", tags=["mlx"])
        server.routes.append(
            (re.compile(r"/api/models/[^/]+(/revision/.+)?", re.DOTALL), _no_such_repository)
        )
        settings.HUB = settings.HUB.model_copy(update={"hf_endpoint": server.endpoint})
        yield server


def _no_such_repository(exchange: Exchange, _: re.Match[str]) -> None:
    exchange.refuse(401, "RepoNotFound", "Invalid username or password.")


def _name_what_is_there(case: Case, known: dict[str, Any], *, ids: bool) -> None:
    """Random names are names of nothing: with them only one answer would be seen, 404."""
    if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
        case.body["model"] = "embedder" if case.path in EMBEDDING_ROUTES else "tiny"
    if ids:
        for name in case.path_parameters or {}:
            if name in known:
                case.path_parameters[name] = known[name]


def takes_what_it_documents(ctx: CheckContext, response: Response, case: Case) -> bool | None:
    """``positive_data_acceptance``, but for RULES."""
    if response.status_code == 400 and _RULE.search(response.json()["error"]["message"]):
        return None
    accepted: bool | None = positive_data_acceptance(ctx, response, case)
    return accepted


def refuses_what_it_does_not(ctx: CheckContext, response: Response, case: Case) -> bool | None:
    """``negative_data_rejection``, but for a parameter that is there several times, where the
    last counts, as everywhere in Django."""
    if any(isinstance(value, list) and len(value) > 1 for value in (case.query or {}).values()):
        return None
    refused: bool | None = negative_data_rejection(ctx, response, case)
    return refused
