"""Limits of groups of endpoints, beside those of the whole key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import resolve

from apps.inference.engine.protocol import Generate
from apps.inference.keys.endpoints import Endpoints, Rates, check_stored, endpoints_of, stored
from apps.inference.keys.errors import LimitReached
from apps.inference.keys.limits import admit, settle
from apps.inference.keys.models import Admission, ApiKey
from apps.inference.keys.services import Limits, create_key
from apps.inference.keys.tests.conftest import CHAT, KeyHolder
from apps.inference.tests.conftest import Caller
from tests.engine_scripts import reply
from tests.fake_engine import FakeEngine

GENERATION, EMBEDDINGS, MANAGEMENT = (
    Endpoints.GENERATION,
    Endpoints.EMBEDDINGS,
    Endpoints.MANAGEMENT,
)
POSTS_OF_V1 = {
    "/v1/chat/completions": Endpoints.GENERATION,
    "/v1/completions": Endpoints.GENERATION,
    "/v1/messages": Endpoints.GENERATION,
    "/v1/responses": Endpoints.GENERATION,
    "/v1/embeddings": Endpoints.EMBEDDINGS,
    "/v1/rerank": Endpoints.RERANK,
    "/v1/tokenize": Endpoints.OTHER,
    "/v1/detokenize": Endpoints.OTHER,
    "/v1/messages/count_tokens": Endpoints.OTHER,
}


@pytest.fixture
def key_with(db: None) -> Callable[..., ApiKey]:
    return lambda **limits: create_key(name="ada", limits=Limits(**limits))[0]


class TestGroups:
    def test_every_post_under_v1_is_in_the_group_it_was_meant_for(self, client: Client) -> None:
        paths = client.get("/v1/openapi.json").json()["paths"]
        assert {path for path, methods in paths.items() if "post" in methods} == set(POSTS_OF_V1)
        for path, group in POSTS_OF_V1.items():
            assert endpoints_of(resolve(path).route, "POST", inference=True) is group

    def test_reading_is_not_counted(self) -> None:
        assert endpoints_of("v1/models", "GET", inference=True) is None
        assert endpoints_of("api/usage", "GET", inference=False) is None

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_what_changes_something_elsewhere_is_management(self, method: str) -> None:
        assert endpoints_of("api/models/<name>", method, inference=False) is MANAGEMENT

    def test_every_group_says_what_is_in_it(self) -> None:
        assert all(group.label and group.says for group in Endpoints)


class TestWhatIsKept:
    def test_is_what_was_set_and_no_more(self) -> None:
        rates = {GENERATION: Rates(tokens_per_minute=9), EMBEDDINGS: Rates()}
        assert stored(rates) == {"generation": {"tokens_per_minute": 9}}
        check_stored(stored(rates))

    @pytest.mark.parametrize(
        "value",
        [
            [],
            {"chat": {"requests_per_minute": 1}},
            {"generation": 5},
            {"generation": {"concurrency": 1}},
            {"management": {"tokens_per_minute": 1}},
            {"embeddings": {"requests_per_minute": 0}},
            {"embeddings": {"requests_per_minute": "1"}},
            {"embeddings": {"requests_per_minute": True}},
        ],
    )
    def test_is_refused_where_it_is_no_limit(self, value: Any) -> None:
        with pytest.raises(ValidationError):
            check_stored(value)


class TestAdmitting:
    def test_one_groups_calls_leave_the_others_alone(self, key_with: Callable[..., ApiKey]) -> None:
        key = key_with(endpoints={EMBEDDINGS: Rates(requests_per_minute=1)})
        admit(key, tokens=5, endpoints=EMBEDDINGS)
        with pytest.raises(LimitReached, match="1 request a minute at embeddings endpoints"):
            admit(key, tokens=5, endpoints=EMBEDDINGS)
        admit(key, tokens=5, endpoints=Endpoints.RERANK)

    def test_the_keys_own_limit_is_for_all_groups_together(
        self, key_with: Callable[..., ApiKey]
    ) -> None:
        key = key_with(requests_per_minute=2, endpoints={GENERATION: Rates(requests_per_minute=9)})
        admit(key, tokens=0, endpoints=GENERATION)
        admit(key, tokens=0, endpoints=EMBEDDINGS)
        with pytest.raises(LimitReached, match="2 requests a minute and has made as many"):
            admit(key, tokens=0, endpoints=GENERATION)

    def test_tokens_of_a_group_are_settled_as_those_of_the_key(
        self, key_with: Callable[..., ApiKey]
    ) -> None:
        key = key_with(endpoints={GENERATION: Rates(tokens_per_minute=100)})
        settle(admit(key, tokens=10).id, tokens=90)
        with pytest.raises(LimitReached, match="100 tokens a minute at generation") as refused:
            admit(key, tokens=20)
        assert refused.value.retry_after is not None
        with pytest.raises(LimitReached, match="This request alone") as refused:
            admit(key, tokens=101)
        assert refused.value.retry_after is None

    def test_what_is_left_is_that_of_the_nearest_limit(
        self, key_with: Callable[..., ApiKey]
    ) -> None:
        key = key_with(
            requests_per_minute=10,
            tokens_per_minute=50,
            endpoints={GENERATION: Rates(requests_per_minute=3, tokens_per_minute=1000)},
        )
        left = admit(key, tokens=8).budgets
        assert left.requests is not None
        assert (left.requests.limit, left.requests.remaining) == (3, 2)
        assert left.tokens is not None
        assert (left.tokens.limit, left.tokens.remaining) == (50, 42)

    def test_management_takes_nothing_of_what_the_key_may_infer(
        self, key_with: Callable[..., ApiKey]
    ) -> None:
        key = key_with(
            requests_per_minute=1,
            concurrency=1,
            endpoints={MANAGEMENT: Rates(requests_per_minute=1)},
        )
        assert not admit(key, tokens=0, endpoints=MANAGEMENT).holds_place
        admit(key, tokens=0)
        with pytest.raises(LimitReached, match="management"):
            admit(key, tokens=0, endpoints=MANAGEMENT)

    def test_a_key_is_counted_only_where_it_has_a_limit(
        self, key_with: Callable[..., ApiKey]
    ) -> None:
        key = key_with(endpoints={EMBEDDINGS: Rates(requests_per_minute=1)})
        assert [group for group in Endpoints if key.is_limited_for(group)] == [EMBEDDINGS]
        whole = create_key(name="grace", limits=Limits(concurrency=1))[0]
        assert not whole.is_limited_for(MANAGEMENT)
        assert whole.is_limited_for(Endpoints.OTHER)


@pytest.mark.usefixtures("_cast")
class TestOverHttp:
    def test_the_429_says_which_limit_it_was_and_others_go_on(
        self, call: Caller, fake_engine: FakeEngine
    ) -> None:
        fake_engine.always(Generate, *reply("A"))
        limits = Limits(
            requests_per_minute=10, endpoints={GENERATION: Rates(requests_per_minute=1)}
        )
        holder = KeyHolder(call, limits=limits)
        assert holder.chat().headers["x-ratelimit-limit-requests"] == "1"
        for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"):
            refused = holder("POST", path, CHAT)
            assert refused.status == 429
            assert "1 request a minute at generation endpoints" in refused.error["message"]
            assert 1 <= int(refused.headers["Retry-After"]) <= 60
        tokenized = holder("POST", "/v1/tokenize", {"model": "tiny", "text": "Hi"})
        assert tokenized.status != 429
        assert tokenized.headers["x-ratelimit-limit-requests"] == "10"

    def test_management_is_limited_where_it_is_told_to_be(self, call: Caller) -> None:
        limits = Limits(endpoints={MANAGEMENT: Rates(requests_per_minute=1)})
        holder = KeyHolder(call, may_manage=True, limits=limits)
        for _ in range(2):
            assert holder("GET", "/api/models").status == 200
        first = holder("DELETE", "/api/models/nonsense")
        assert first.status == 404
        refused = holder("DELETE", "/api/models/nonsense")
        assert refused.status == 429
        assert "management endpoints" in refused.error["message"]
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        assert Admission.objects.get().tokens == 0


class TestTheAdmin:
    ADD = "/admin/keys/apikey/add/"
    FORM = {"name": "ada", "may_infer": "on"}

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("", {}),
            ("{}", {}),
            ('{"rerank": {"requests_per_minute": 3}}', {"rerank": {"requests_per_minute": 3}}),
        ],
    )
    def test_takes_limits_as_json(self, admin_client: Client, given: str, kept: Any) -> None:
        admin_client.post(self.ADD, self.FORM | {"endpoint_limits": given})
        assert ApiKey.objects.get().endpoint_limits == kept

    def test_refuses_a_group_that_is_none(self, admin_client: Client) -> None:
        page = admin_client.post(self.ADD, self.FORM | {"endpoint_limits": '{"chat": {}}'})
        assert "There is no group" in page.content.decode()
        assert not ApiKey.objects.exists()
