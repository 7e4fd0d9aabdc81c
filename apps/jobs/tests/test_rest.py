"""The routes of a kind of job: which row they find, what they answer, what is said of them."""

from __future__ import annotations

from typing import get_args

import pytest
from ninja import NinjaAPI, Router
from ninja.testing import TestClient
from pydantic import BaseModel

from apps.jobs import control
from apps.jobs.models import JobState
from apps.jobs.rest import JobRoutes, NoSuchJob, StateName
from apps.jobs.tests.digging import Dig

pytestmark = pytest.mark.django_db

router = Router()


class DigOut(BaseModel):
    id: int
    state: StateName

    @classmethod
    def of(cls, dig: Dig) -> DigOut:
        return cls(id=dig.pk, state=dig.state)  # type: ignore[arg-type]


class Fault(BaseModel):
    reason: str


digs = JobRoutes(
    router,
    "/digs",
    rows=Dig.objects.all,
    out=DigOut,
    fault=Fault,
    called="dig",
    code="dig_not_found",
)


@digs.show(summary="One dig")
def get_dig(dig: Dig) -> DigOut:
    """How deep it is."""
    return DigOut.of(dig)


@digs.action("cancel", summary="Cancel a dig", status=202, refusals=(400,))
def cancel_dig(dig: Dig) -> None:
    """The hole stays."""
    control.cancel(dig)


@digs.removal(summary="Fill a dig")
def fill_dig(dig: Dig) -> None:
    dig.delete()


@pytest.fixture(scope="module")
def api() -> TestClient:
    return TestClient(router)


def test_a_job_is_shown(api: TestClient) -> None:
    dig = Dig.objects.create(state=JobState.PAUSED)
    assert api.get(f"/digs/{dig.pk}").json() == {"id": dig.pk, "state": "paused"}


def test_an_action_answers_with_the_job_as_it_is_afterwards(api: TestClient) -> None:
    dig = Dig.objects.create()
    answer = api.post(f"/digs/{dig.pk}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")


def test_a_removal_answers_with_nothing(api: TestClient) -> None:
    dig = Dig.objects.create()
    answer = api.delete(f"/digs/{dig.pk}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not Dig.objects.exists()


# The second is larger than any number that a database holds.
@pytest.mark.parametrize("key", [1, 10**30])
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/cancel"), ("DELETE", "")])
def test_a_number_of_no_job_is_refused(api: TestClient, method: str, path: str, key: int) -> None:
    with pytest.raises(NoSuchJob, match=rf"no dig {key}\. GET /api/digs lists them") as refused:
        api.request(method, f"/digs/{key}{path}")
    assert refused.value.code == "dig_not_found"


def test_the_document_says_what_the_functions_say() -> None:
    described = NinjaAPI(urls_namespace="digs")
    described.add_router("", router)
    paths = described.get_openapi_schema(path_prefix="/")["paths"]
    shown, cancelled = paths["/digs/{key}"]["get"], paths["/digs/{key}/cancel"]["post"]
    assert (shown["summary"], shown["description"]) == ("One dig", "How deep it is.")
    assert cancelled["operationId"] == "apps_jobs_tests_test_rest_cancel_dig"
    assert list(cancelled["responses"]) == [202, 400, 404]
    assert list(paths["/digs/{key}"]["delete"]["responses"]) == [204, 404, 409]


def test_documents_know_every_state() -> None:
    assert list(get_args(StateName)) == JobState.values
