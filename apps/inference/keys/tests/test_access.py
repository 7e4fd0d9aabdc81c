"""Who is let in: keys, their scopes and their models."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.inference.engine.protocol import Generate
from apps.inference.keys import secret, services
from apps.inference.keys.models import ApiKey
from apps.inference.keys.services import create_key
from apps.inference.keys.tests.conftest import CHAT, KeyHolder
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.fake_engine import FakeEngine

pytestmark = pytest.mark.usefixtures("_cast")


@pytest.fixture
def _keys_required(settings: Any) -> None:
    settings.HUB = settings.HUB.model_copy(update={"require_keys": True})


def chat(call: Caller, **headers: str) -> Any:
    return call("POST", "/v1/chat/completions", CHAT, **headers)


class TestAKey:
    def test_is_kept_as_its_digest_alone(self) -> None:
        key, text = create_key(name="ada")
        assert text.startswith(f"mlxhub_{key.public_id}_")
        stored = ApiKey.objects.values().get()
        assert text.rpartition("_")[2] not in str(stored)
        assert stored["digest"] == secret.digest_of(text)

    def test_is_never_made_twice(self) -> None:
        assert len({secret.new_key().text for _ in range(100)}) == 100

    def test_is_compared_in_constant_time_whether_or_not_there_is_one(
        self, monkeypatch: pytest.MonkeyPatch, holder: KeyHolder, call: Caller
    ) -> None:
        compared = []
        real = secret.secrets.compare_digest

        def compare(one: str, other: str) -> bool:
            compared.append((one, other))
            return real(one, other)

        monkeypatch.setattr(secret.secrets, "compare_digest", compare)
        assert holder.chat().status == 200
        assert chat(call, x_api_key=secret.new_key().text).status == 401
        assert compared[0] == (holder.key.digest, holder.key.digest)
        assert compared[1][1] == services._NOBODYS_DIGEST


class TestOnThisMachine:
    def test_the_owner_needs_no_key(self, call: Caller) -> None:
        assert chat(call).status == 200
        assert call("GET", "/admin/cache/prompts").status == 200

    @pytest.mark.parametrize("placeholder", ["unused", "sk-of-another-service", "none"])
    def test_what_client_libraries_insist_on_is_no_key(
        self, call: Caller, placeholder: str
    ) -> None:
        assert chat(call, Authorization=f"Bearer {placeholder}").status == 200

    @pytest.mark.parametrize("header", ["Authorization", "x_api_key"])
    def test_a_key_of_this_hub_that_is_wrong_is_refused(self, call: Caller, header: str) -> None:
        wrong = secret.new_key().text
        value = f"Bearer {wrong}" if header == "Authorization" else wrong
        answer = chat(call, **{header: value})
        assert answer.status == 401
        assert answer.error["code"] == "invalid_api_key"
        assert answer.error["type"] == "invalid_request_error"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert wrong not in answer.error["message"]

    def test_a_right_key_with_one_character_changed_is_wrong(
        self, call: Caller, holder: KeyHolder
    ) -> None:
        last = "a" if holder.text[-1] != "a" else "b"
        assert chat(call, x_api_key=holder.text[:-1] + last).status == 401

    def test_a_key_opens_in_either_header(self, call: Caller, holder: KeyHolder) -> None:
        assert chat(call, x_api_key=holder.text).status == 200
        assert chat(call, Authorization=f"bearer {holder.text}").status == 200

    def test_the_hubs_own_key_goes_before_a_placeholder(
        self, call: Caller, holder: KeyHolder, fake_engine: FakeEngine
    ) -> None:
        answer = chat(call, Authorization="Bearer unused", x_api_key=holder.text)
        assert answer.status == 200
        assert fake_engine.calls_of(Generate)[-1].request.client == f"key:{holder.key.pk}"

    def test_a_refused_call_reaches_no_engine(self, call: Caller, fake_engine: FakeEngine) -> None:
        chat(call, x_api_key=secret.new_key().text)
        assert not fake_engine.calls_of(Generate)


@pytest.mark.usefixtures("_keys_required")
class TestWhereKeysAreRequired:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/v1/chat/completions"),
            ("GET", "/v1/models"),
            ("GET", "/admin/health"),
            ("GET", "/api/benchmarks"),
        ],
    )
    def test_a_call_without_one_is_told_how_to_send_it(
        self, call: Caller, method: str, path: str
    ) -> None:
        answer = call(method, path, CHAT if method == "POST" else None)
        assert answer.status == 401
        assert answer.error["code"] == "missing_api_key"
        assert "mlx-hub keys create" in answer.error["message"]

    def test_a_placeholder_is_a_wrong_key(self, call: Caller) -> None:
        assert chat(call, Authorization="Bearer unused").error["code"] == "invalid_api_key"

    def test_a_key_opens(self, holder: KeyHolder) -> None:
        assert holder.chat().status == 200

    @pytest.mark.parametrize("path", ["/v1/docs", "/v1/openapi.json"])
    def test_what_the_api_says_about_itself_is_open(self, call: Caller, path: str) -> None:
        assert call("GET", path).status == 200


class TestAnEnd:
    def test_revocation_counts_from_the_next_call_on(self, holder: KeyHolder) -> None:
        assert holder.chat().status == 200
        holder.row.revoke()
        answer = holder.chat()
        assert answer.status == 401
        assert "was revoked" in answer.error["message"]

    def test_a_key_that_has_expired_is_refused(self, holder: KeyHolder) -> None:
        ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        answer = holder.chat()
        assert answer.status == 401
        assert "has expired" in answer.error["message"]

    def test_revoking_twice_keeps_the_first_moment(self, holder: KeyHolder) -> None:
        key = holder.row
        key.revoke()
        first = key.revoked_at
        key.revoke()
        assert key.revoked_at == first
        assert key.state == "revoked"


class TestScopes:
    def test_a_key_for_inference_does_not_manage(self, holder: KeyHolder) -> None:
        answer = holder("GET", "/admin/cache/prompts")
        assert answer.status == 403
        assert answer.error["code"] == "insufficient_permissions"

    def test_a_key_for_management_does_not_infer(self, call: Caller) -> None:
        manager = KeyHolder(call, name="grace", may_infer=False, may_manage=True)
        assert manager("GET", "/admin/cache/prompts").status == 200
        assert manager("GET", "/api/benchmarks").status == 200
        assert manager.chat().status == 403


class TestModels:
    @pytest.fixture
    def limited(self, call: Caller, qwen: LocalModel) -> KeyHolder:
        return KeyHolder(call, name="grace", models=[qwen])

    def test_a_model_that_is_not_the_keys_does_not_exist_for_it(self, limited: KeyHolder) -> None:
        answer = limited.chat()
        assert answer.status == 404
        assert answer.error["code"] == "model_not_found"
        assert "tiny" not in answer.error["message"].partition("name one that is here")[2]

    def test_its_own_models_answer_and_are_listed_alone(self, limited: KeyHolder) -> None:
        assert limited.chat(model="qwen").status == 200
        assert [each["id"] for each in limited("GET", "/v1/models").json["data"]] == ["qwen"]

    def test_the_owner_still_sees_all(self, limited: KeyHolder, call: Caller) -> None:
        limited("GET", "/v1/models")
        assert len(call("GET", "/v1/models").json["data"]) == 2

    def test_a_key_whose_last_model_is_deleted_has_none(
        self, limited: KeyHolder, qwen: LocalModel
    ) -> None:
        qwen.delete()
        assert limited.chat().status == 404


class TestTheEngine:
    def test_a_key_is_one_client_whatever_user_it_names(
        self, holder: KeyHolder, fake_engine: FakeEngine
    ) -> None:
        holder.chat(user="one")
        holder.chat(user="two")
        clients = {each.request.client for each in fake_engine.calls_of(Generate)}
        assert clients == {f"key:{holder.key.pk}"}

    def test_without_isolation_cached_prompts_are_shared(
        self, holder: KeyHolder, fake_engine: FakeEngine
    ) -> None:
        holder.chat()
        assert fake_engine.calls_of(Generate)[-1].request.cache_salt == ""

    def test_with_isolation_no_key_meets_what_another_cached(
        self, holder: KeyHolder, call: Caller, settings: Any, fake_engine: FakeEngine
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"tenant_isolation": True})
        other = KeyHolder(call, name="grace")
        for who, salt in ((holder, None), (other, None), (holder, "own"), (other, "own")):
            who.chat(**{"cache_salt": salt} if salt else {})
        holder.chat()
        chat(call)
        salts = [each.request.cache_salt for each in fake_engine.calls_of(Generate)]
        assert len(set(salts[:4])) == 4
        assert salts[4] == salts[0]
        assert salts[5] == ""
