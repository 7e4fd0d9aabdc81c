"""What others may try against a hub: foreign names, foreign pages, forged headers, planted markup.

Session fixation and open redirects are in apps/accounts/tests/test_sign_in.py, calls that the hub
is made to make in apps/outgoing/tests/test_outgoing.py, and who may do what in test_access.py.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import Resolver404, resolve

from apps.accounts.roles import Role
from apps.datasets.running import run
from apps.datasets.services import order_import
from apps.discovery.cards import card_of
from apps.models.models import LocalModel
from apps.playground.models import Conversation, Message
from tests.people import ClientOf
from tests.registry import make_model

pytestmark = pytest.mark.django_db

EVIL = "evil.example"


class TestDnsRebinding:
    """A page's own name is made to point at the hub; its requests then count as same-origin."""

    @pytest.mark.parametrize("path", ["/", "/models/", "/v1/models", "/api/models", "/sign-in/"])
    @pytest.mark.parametrize("host", [EVIL, f"{EVIL}:8080", "127.0.0.1.evil.example"])
    def test_a_foreign_name_is_refused_on_this_machine(
        self, client: Client, path: str, host: str
    ) -> None:
        assert client.get(path, headers={"Host": host}).status_code == 403

    @pytest.mark.parametrize("path", ["/setup/", "/sign-in/", "/v1/models"])
    def test_a_foreign_name_is_refused_on_a_hub_for_others(
        self, client_of: ClientOf, settings: Any, path: str
    ) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        answer = client_of(None).get(path, headers={"Host": EVIL})
        assert answer.status_code == 403
        assert "MLXHUB_ALLOWED_HOSTS" in answer.json()["error"]["message"]

    @pytest.mark.parametrize(
        "host", ["192.168.1.7:8080", "[fd00::7]:8080", "localhost:8080", "models.lan"]
    )
    def test_an_address_and_a_name_of_its_own_are_not(
        self, client_of: ClientOf, settings: Any, host: str
    ) -> None:
        settings.HUB = settings.HUB.model_copy(update={"allowed_hosts": ("models.lan",)})
        settings.ALLOWED_HOSTS = ["*"]
        assert client_of(None).get("/sign-in/", headers={"Host": host}).status_code == 200


class TestForeignPages:
    """Another site's page sends what its visitor's browser may send."""

    def test_a_form_has_no_token(self, tiny: LocalModel) -> None:
        strict = Client(enforce_csrf_checks=True)
        assert (
            strict.post("/models/tiny/delete/", headers={"Origin": f"http://{EVIL}"}).status_code
            == 403
        )
        assert strict.post("/models/tiny/delete/").status_code == 403
        assert LocalModel.objects.exists()

    def test_a_form_of_somebody_who_has_signed_in_has_none_either(
        self, client_of: ClientOf, people: dict[Role, User]
    ) -> None:
        browser = client_of(Role.OWNER)
        browser.handler.enforce_csrf_checks = True
        assert browser.post("/users/invite/", {"name": "eve", "role": 3}).status_code == 403
        assert not User.objects.filter(username="eve").exists()

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": f"http://{EVIL}"},
            {"Origin": "null"},
            {"Origin": "http://testserver:9999"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    @pytest.mark.parametrize(
        "path", ["/v1/chat/completions", "/api/downloads", "/admin/cache/prompts/warmup"]
    )
    def test_a_fetch_is_refused(self, client: Client, path: str, headers: dict[str, str]) -> None:
        answer = client.post(path, "{}", content_type="application/json", headers=headers)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "cross_origin_request"

    def test_a_call_with_a_session_needs_its_token(
        self, client_of: ClientOf, tiny: LocalModel
    ) -> None:
        browser = client_of(Role.OWNER)
        browser.handler.enforce_csrf_checks = True
        assert browser.get("/api/models").status_code == 200
        assert browser.delete("/api/models/tiny").status_code == 403
        assert LocalModel.objects.exists()
        browser.get("/account/")
        token = browser.cookies["mlxhub_csrf"].value
        assert browser.delete("/api/models/tiny", headers={"X-CSRFToken": token}).status_code == 204

    def test_nothing_may_be_framed_or_read(self, client: Client) -> None:
        headers = client.get("/models/").headers
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        policy = headers["Content-Security-Policy"]
        for directive in (
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "base-uri 'none'",
        ):
            assert directive in policy
        assert "unsafe" not in policy
        assert "Strict-Transport-Security" not in headers

    @pytest.mark.parametrize(("host", "sent"), [("10.0.0.7", True), ("localhost", False)])
    def test_an_encrypted_hub_stays_so(
        self, client_of: ClientOf, settings: Any, host: str, sent: bool
    ) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        answer = client_of(None).get("/sign-in/", secure=True, headers={"Host": host})
        assert ("Strict-Transport-Security" in answer.headers) is sent


class TestForgedHeaders:
    def test_a_forwarded_host_changes_no_link(self, client_of: ClientOf) -> None:
        owner = client_of(Role.OWNER)
        forged = {
            "X-Forwarded-Host": EVIL,
            "X-Forwarded-Proto": "https",
            "Forwarded": f"host={EVIL}",
        }
        page = owner.post("/users/invite/", {"name": "eve", "role": 1}, headers=forged)
        assert EVIL not in page.content.decode()
        assert "http://testserver/join/" in page.content.decode()

    def test_a_forwarded_address_makes_nobody_the_owner(self, client: Client) -> None:
        for forged in ("127.0.0.1", "::1"):
            answer = client.post("/engine/cache/clear/", headers={"X-Forwarded-For": forged})
            assert answer.status_code == 403
            assert client.get("/v1/models", headers={"X-Forwarded-For": forged}).status_code == 401

    def test_a_forwarded_scheme_makes_nothing_secure(self, client_of: ClientOf) -> None:
        answer = client_of(None).get("/sign-in/", headers={"X-Forwarded-Proto": "https"})
        assert "Strict-Transport-Security" not in answer.headers
        assert not answer.cookies["mlxhub_csrf"]["secure"]


class TestTheHubOfModels:
    """Nothing that somebody asks for can lead its client to another server or file."""

    @pytest.mark.parametrize(
        ("owner", "name"),
        [
            ("..", ".."),
            ("http:", EVIL),
            ("@evil.example", "x"),
            ("a", "b?x=y"),
            ("a", "b#c"),
            ("a b", "c"),
            ("a", "b\\c"),
            ("%2e%2e", "x"),
        ],
    )
    def test_a_repository_is_never_an_address(self, owner: str, name: str) -> None:
        with pytest.raises(Resolver404):
            resolve(f"/discover/{owner}/{name}/")

    @pytest.mark.parametrize(
        "repo",
        [
            f"http://{EVIL}/a/b",
            "../../etc/passwd",
            f"//{EVIL}/x",
            "a/b/../../c",
            "a@b/c",
            "file:///x",
        ],
    )
    def test_a_download_of_something_else_is_refused(self, client: Client, repo: str) -> None:
        answer = client.post("/api/downloads", {"repo": repo}, content_type="application/json")
        assert answer.status_code in {400, 404, 422}


class _Markup(HTMLParser):
    """What a browser would run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.dangers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        own = (given.get("src") or "").startswith("/static/")
        if tag == "script" and not own and given.get("type") != "application/json":
            self.dangers.append(f"<script> {given}")
        if tag in {"iframe", "object", "embed", "base"}:
            self.dangers.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith("javascript:"):
                self.dangers.append(f"<{tag} {name}={value}>")


PLANTED = "\"'></textarea></script><script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>x</a>"


def harmless(answer: Any, *, shows: str = "alert(1)") -> bool:
    text = answer.content.decode()
    assert answer.status_code == 200
    assert shows in text, "the planted text is not on the page"
    return _Markup(text).dangers == []


class TestPlantedMarkup:
    """Stored XSS: text of others is on a page, as text. The policy would keep it from running."""

    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, settings: Any) -> None:
        settings.HUB = settings.HUB.model_copy(update={"home": tmp_path / "hub"})
        for folder in (settings.HUB.logs_dir, settings.HUB.models_dir):
            folder.mkdir(parents=True)

    def test_the_test_knows_danger(self) -> None:
        assert len(_Markup(PLANTED).dangers) == 3

    def test_in_a_models_card(self) -> None:
        card = card_of(
            f"# Hi\n\n{PLANTED}\n\n[x](javascript:alert(2))".encode(), base="https://h/a/b"
        )
        assert card is not None
        assert _Markup(card.html).dangers == []

    def test_in_a_models_answer(self, client: Client, tiny: LocalModel) -> None:
        chat = Conversation.objects.create(title=PLANTED[:100], model=tiny)
        asked = Message.objects.create(conversation=chat, role="user", content=PLANTED)
        Message.objects.create(
            conversation=chat, parent=asked, role="assistant", content=PLANTED, state="done"
        )
        assert harmless(client.get(f"/playground/c/{chat.pk}/"))

    def test_in_a_models_name_and_figures(self, client: Client) -> None:
        make_model("odd", name=PLANTED[:100], architecture="<script>", quantization="<b>alert(1)")
        assert harmless(client.get("/models/odd/"))
        assert harmless(client.get("/models/"))

    def test_in_a_row_and_the_name_of_a_dataset(
        self, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.jobs.conduct.BEAT_SECONDS", 600.0)
        path = tmp_path / "<img src=x onerror=alert(1)>.jsonl"
        rows = [{"prompt": PLANTED, "completion": PLANTED, "<b onclick=alert(1)>": PLANTED}] * 3
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        job = order_import(path=path, name=path.stem)
        run(job, stops=threading.Event())
        job.refresh_from_db()
        assert job.error == ""
        for part in ("", "map/", "versions/", "rows/1/"):
            answer = client.get(f"/data/{job.dataset.slug}/{part}", follow=True)
            assert answer.status_code == 200
            assert _Markup(answer.content.decode()).dangers == [], part
        assert harmless(client.get("/data/"))

    def test_in_a_files_name(self, client: Client, settings: Any) -> None:
        (settings.HUB.models_dir / "<img src=x onerror=alert(1)>").mkdir()
        assert harmless(client.get("/models/disk/"))

    def test_in_a_line_of_a_log(self, client: Client, settings: Any) -> None:
        now = datetime.now(UTC).isoformat()
        line = {
            "time": now,
            "level": "error",
            "message": PLANTED,
            "process": "web",
            "logger": PLANTED,
        }
        (settings.HUB.logs_dir / "web.log").write_text(f"{json.dumps(line)}\n{PLANTED}\n")
        assert harmless(client.get("/system/logs/"))
