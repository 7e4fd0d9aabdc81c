"""Every request to /v1 leaves a record of what became of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import DatabaseError
from django.utils import timezone

from apps.inference.engine.protocol import Generate
from apps.inference.keys import secret
from apps.inference.keys.services import Limits
from apps.inference.keys.tests.conftest import CHAT, KeyHolder
from apps.inference.tests.conftest import Caller, Hub
from apps.inference.tests.sockets import post
from apps.inference.usage.models import RequestRecord
from apps.inference.usage.tasks import forget_old_requests
from apps.inference.usage.tests.conftest import make_record
from apps.models.models import Adapter, LocalModel
from tests.engine_scripts import Gate, failure, reply
from tests.fake_engine import PATIENCE, FakeEngine
from tests.hub_process import until


@pytest.mark.usefixtures("_cast")
class TestARecord:
    def only(self) -> RequestRecord:
        return RequestRecord.objects.get()

    def test_tells_what_the_engine_said(self, holder: KeyHolder, fake_engine: FakeEngine) -> None:
        fake_engine.once(Generate, *reply("Hello", " you", prompt_tokens=30, cached_tokens=10))
        assert holder.chat().status == 200
        record = self.only()
        assert record.key == holder.key
        assert record.model_name == "tiny"
        assert record.endpoint == "POST /v1/chat/completions"
        assert (record.status, record.error_code, record.finish_reason) == (200, "", "stop")
        assert (record.prompt_tokens, record.cached_tokens) == (30, 10)
        assert record.completion_tokens == 2
        assert record.tokens_per_second == 20.0
        assert 0 < record.time_to_first_token <= record.duration < 10
        assert not record.streamed
        assert not record.client_left

    def test_counts_a_stream_and_several_answers_too(self, call: Caller, pirate: Adapter) -> None:
        body = CHAT | {"model": "tiny:pirate", "stream": True, "n": 2}
        assert call("POST", "/v1/chat/completions", body).data[-1] == "[DONE]"
        record = self.only()
        assert record.streamed
        assert record.model_name == "tiny:pirate"
        assert (record.prompt_tokens, record.completion_tokens) == (12, 4)
        assert record.key is None

    def test_holds_no_word_of_what_was_said(self, holder: KeyHolder) -> None:
        holder.chat(messages=[{"role": "user", "content": "My secret"}])
        assert "secret" not in str(RequestRecord.objects.values().get())
        assert self.only().answer_text == ""

    def test_holds_it_where_the_owner_wants(self, holder: KeyHolder, settings: Any) -> None:
        settings.HUB = settings.HUB.model_copy(update={"log_prompts": True})
        holder.chat(stream=True)
        assert json.loads(self.only().request_text)["messages"] == CHAT["messages"]
        assert self.only().answer_text == "Hello world"

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"model": "nonsense"}, 404, "model_not_found"),
            ({"temprature": 1}, 400, ""),
        ],
    )
    def test_tells_why_a_request_was_refused(
        self, holder: KeyHolder, body: dict[str, Any], status: int, code: str
    ) -> None:
        assert holder.chat(**body).status == status
        assert (self.only().status, self.only().error_code) == (status, code)

    def test_tells_what_failed_in_the_engine(
        self, holder: KeyHolder, fake_engine: FakeEngine
    ) -> None:
        fake_engine.once(Generate, failure("insufficient_memory"))
        holder.chat()
        assert (self.only().status, self.only().error_code) == (503, "insufficient_memory")

    def test_tells_that_a_stream_broke_off(
        self, holder: KeyHolder, fake_engine: FakeEngine
    ) -> None:
        fake_engine.once(Generate, *reply("A", failure("internal_error")))
        holder.chat(stream=True)
        record = self.only()
        assert (record.status, record.error_code) == (200, "internal_error")
        assert (record.prompt_tokens, record.completion_tokens) == (12, 1)

    def test_is_left_by_a_request_over_its_limit(self, call: Caller) -> None:
        holder = KeyHolder(call, limits=Limits(requests_per_minute=1))
        holder.chat()
        holder.chat()
        newest = RequestRecord.objects.first()
        assert newest is not None
        assert (newest.status, newest.error_code) == (429, "rate_limit_exceeded")

    def test_is_not_left_by_a_call_without_a_valid_key_but_the_log_has_it(
        self, call: Caller, caplog: pytest.LogCaptureFixture
    ) -> None:
        text = secret.new_key().text
        call("POST", "/v1/chat/completions", CHAT, x_api_key=text)
        assert not RequestRecord.objects.exists()
        assert "was refused" in caplog.text
        assert text not in caplog.text

    def test_is_not_left_by_the_management_api(self, call: Caller) -> None:
        call("GET", "/admin/cache/prompts")
        assert not RequestRecord.objects.exists()

    def test_notes_when_its_key_was_used(self, holder: KeyHolder) -> None:
        assert holder.row.last_used_at is None
        holder.chat()
        assert holder.row.last_used_at is not None

    def test_that_cannot_be_written_fails_no_answer(
        self, holder: KeyHolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise DatabaseError("disk full")

        monkeypatch.setattr(RequestRecord, "save", fail)
        assert holder.chat().status == 200
        assert "usage was not recorded" in caplog.text


def test_a_client_that_leaves_is_recorded_as_such_and_gives_its_place_back(
    hub: Hub, tiny: LocalModel, fake_engine: FakeEngine, call: Caller
) -> None:
    gate = Gate()
    fake_engine.once(Generate, *reply("A", gate, "B"))
    holder = KeyHolder(call, limits=Limits(concurrency=1))
    url, headers = f"{hub.url}/v1/chat/completions", {"x-api-key": holder.text}
    with (
        httpx.Client(timeout=PATIENCE) as client,
        client.stream("POST", url, json=CHAT | {"stream": True}, headers=headers) as response,
    ):
        assert "A" in next(line for line in response.iter_lines() if '"A"' in line)
    fake_engine.wait_for_call(Generate).wait_closed_early()
    record = until(lambda: RequestRecord.objects.first())
    assert record.client_left
    assert record.streamed
    assert record.completion_tokens == 1
    answer = httpx.post(url, json=CHAT, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200
    until(lambda: RequestRecord.objects.count() == 2)


def test_a_client_that_leaves_before_the_first_byte_has_status_499(
    hub: Hub, tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    fake_engine.once(Generate, Gate())
    with post(hub, "/v1/chat/completions", CHAT):
        fake_engine.wait_for_call(Generate)
    record = until(lambda: RequestRecord.objects.first())
    assert (record.status, record.client_left) == (499, True)


def test_what_is_too_old_goes_and_the_rest_stays(db: None, settings: Any) -> None:
    settings.HUB = settings.HUB.model_copy(update={"usage_days": 30})
    kept = make_record(created_at=timezone.now() - timedelta(days=29))
    make_record(created_at=timezone.now() - timedelta(days=31))
    forget_old_requests.call_local()
    assert RequestRecord.objects.get() == kept
