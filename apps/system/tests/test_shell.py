"""The frame of every page: sidebar, scripts under the content policy, error pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib import messages
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpRequest
from django.template.loader import get_template, render_to_string
from django.test import Client, RequestFactory
from django.urls import reverse

from apps.accounts.roles import Role
from apps.system.navigation import SECTIONS
from tests.people import ClientOf

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
ICONS = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static" / "icons.svg").read_text()))


@pytest.fixture
def page(client: Client, db: None) -> str:
    return client.get(reverse("models:list")).content.decode()


def test_the_sidebar_leads_to_every_section_and_marks_the_one_shown(page: str) -> None:
    for section in SECTIONS:
        assert f'href="{reverse(section.url_name)}"' in page
    (current,) = re.findall(r'href="([^"]+)"[^>]*aria-current="page"', page)
    assert current == reverse("models:list")


def test_each_section_has_a_key_of_its_own() -> None:
    assert len({section.key for section in SECTIONS}) == len(SECTIONS)


def test_the_help_lists_the_sections_keys(page: str) -> None:
    for section in SECTIONS:
        assert f"Go to {section.label}" in page
        assert f"<kbd>{section.key}</kbd>" in page


def test_htmx_sends_the_csrf_token_and_runs_nothing_from_strings(page: str) -> None:
    assert re.search(r"hx-headers='\{\"x-csrftoken\": \"\w{64}\"\}'", page)
    assert '"allowEval": false' in page
    assert '"selfRequestsOnly": true' in page
    assert '"includeIndicatorStyles": false' in page


def test_browsers_that_look_for_an_icon_find_it(client: Client) -> None:
    assert client.get("/favicon.ico").headers["Location"] == "/static/favicon.svg"


def test_the_theme_is_set_before_the_first_paint(page: str) -> None:
    head = page[: page.index("</head>")]
    theme = re.search(r'<script src="[^"]*js/theme[^"]*"></script>', head)
    assert theme is not None
    assert theme.start() < head.index("stylesheet")


def test_the_content_policy_allows_no_inline_scripts_or_styles(client: Client, db: None) -> None:
    policy = client.get(reverse("models:list")).headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_template_needs_what_the_content_policy_forbids(path: Path) -> None:
    source = path.read_text()
    assert not re.search(r"\sstyle=", source)
    assert not re.search(r"\son[a-z]+=", source)
    assert not re.search(r"\shx-on[:-]", source)
    assert not re.search(r"<script(?![^>]*\ssrc=)", source)
    assert "<style" not in source


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_icon_a_template_names_is_drawn(path: Path) -> None:
    source = path.read_text()
    named = re.findall(r'{% icon "([^"]+)" %}', source) + re.findall(r'\bicon="([^"]+)"', source)
    assert set(named) <= ICONS


def test_every_sections_icon_is_drawn() -> None:
    assert {section.icon for section in SECTIONS} <= ICONS


def test_messages_become_toasts(rf: RequestFactory) -> None:
    request: HttpRequest = rf.get("/")
    request.session = {}  # type: ignore[assignment]
    storage = FallbackStorage(request)
    request._messages = storage  # type: ignore[attr-defined]
    messages.success(request, "Saved <b>it</b>.")
    page = render_to_string("components/toasts.html", {"messages": storage})
    assert "Saved &lt;b&gt;it&lt;/b&gt;." in page
    assert "tone-ok" in page


class TestErrorPages:
    def test_an_unknown_address_is_shown_in_the_shell(self, client: Client) -> None:
        response = client.get("/no/such/<b>page")
        page = response.content.decode()
        assert response.status_code == 404
        assert "There is nothing at this address" in page
        assert "<b>page" not in page
        assert 'id="sidebar"' in page

    def test_the_pages_for_a_broken_hub_need_no_request_and_no_database(self) -> None:
        for name in ("400.html", "500.html"):
            assert "Back to the hub" in get_template(name).render()

    @pytest.mark.parametrize(("role", "is_link"), [(Role.OWNER, True), (Role.MEMBER, False)])
    def test_the_request_is_named_and_leads_an_owner_to_the_log(
        self, client_of: ClientOf, role: Role, is_link: bool
    ) -> None:
        page = client_of(role).get("/no/such/page", headers={"X-Request-ID": "trace-9"})
        shown = page.content.decode()
        assert "trace-9" in shown
        assert (f"{reverse('system:logs')}?id=trace-9" in shown) is is_link

    def test_a_page_that_failed_names_its_request_too(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.system.views.render", None)
        client.raise_request_exception = False
        page = client.get(reverse("system:overview"), headers={"X-Request-ID": "trace-10"})
        assert page.status_code == 500
        assert f"{reverse('system:logs')}?id=trace-10" in page.content.decode()

    def test_a_form_without_its_token_says_what_to_do(self, db: None) -> None:
        client = Client(enforce_csrf_checks=True)
        response = client.post(reverse("system:cache_evict"))
        assert response.status_code == 403
        assert "reload the page and send it again" in response.content.decode()
