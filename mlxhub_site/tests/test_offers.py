"""What a role may not do is not offered to it: forms say which role they take, and CSS hides them."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django.urls import resolve

from apps.accounts.roles import Role
from apps.accounts.rules import rule_for
from apps.inference.benchmarks.tests.runs import make_run
from apps.models.models import LocalModel
from tests.people import ClientOf

PAGES = (
    "/playground/", "/compare/", "/models/", "/models/tiny/", "/models/import/", "/models/disk/",
    "/downloads/", "/data/", "/data/import/", "/training/", "/evaluations/", "/benchmarks/",
    "/benchmarks/1/", "/keys/", "/account/", "/system/", "/system/health/",
)  # fmt: skip


class _Forms(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.found: list[tuple[str, str | None]] = []
        """Where each form is sent, and which role it says that it takes."""
        self.role: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "body":
            self.role = given.get("data-role")
        if tag == "form" and given.get("method") == "post":
            self.found.append((given.get("action") or self.page, given.get("data-takes")))


def _forms(page: str, html: str) -> _Forms:
    forms = _Forms(page)
    forms.feed(html)
    return forms


@pytest.mark.parametrize("page", PAGES)
def test_a_form_that_a_member_may_not_send_is_marked_and_no_other(
    client_of: ClientOf, tiny: LocalModel, page: str
) -> None:
    make_run("done", pk=1)
    answer = client_of(Role.MEMBER).get(page)
    assert answer.status_code == 200
    forms = _forms(page, answer.content.decode())
    assert forms.role == "member"
    for action, takes in forms.found:
        may = rule_for(resolve(action.partition("?")[0])).lets(Role.MEMBER, "POST")
        assert takes == (None if may else "owner"), action


def test_a_viewer_is_told_that_nothing_can_be_changed(client_of: ClientOf) -> None:
    page = client_of(Role.VIEWER).get("/models/").content.decode()
    assert _forms("/models/", page).role == "viewer"
    assert "You look on" in page
    assert "You look on" not in client_of(Role.MEMBER).get("/models/").content.decode()
