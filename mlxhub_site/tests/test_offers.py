"""What a role may not do is not offered to it: what takes an owner says so, and CSS hides it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Literal

import pytest
from django.contrib.auth.models import User
from django.urls import Resolver404, resolve

from apps.accounts.roles import Role
from apps.accounts.rules import rule_for
from apps.inference.benchmarks.tests.runs import make_run
from apps.inference.keys.services import create_key
from apps.models.models import LocalModel
from tests.engine_scripts import cache_entry
from tests.fake_engine import FakeEngine
from tests.people import ClientOf

PAGES = (
    "/playground/", "/compare/", "/models/", "/models/tiny/", "/models/import/", "/models/disk/",
    "/downloads/", "/data/", "/data/import/", "/training/", "/evaluations/", "/benchmarks/",
    "/benchmarks/1/", "/keys/", "/account/", "/system/", "/system/health/", "/publish/",
)  # fmt: skip

_VOID = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
}  # fmt: skip
"""https://html.spec.whatwg.org/multipage/syntax.html#void-elements"""


class _Offers(HTMLParser):
    """The forms and links of a page, each with the role that it or what it stands in takes."""

    def __init__(self, page: str, html: str) -> None:
        super().__init__()
        self.page = page
        self.role: str | None = None
        self.forms: list[tuple[str, str | None]] = []
        self.links: list[tuple[str, str | None]] = []
        self._open: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        takes = given.get("data-takes") or (self._open[-1][1] if self._open else None)
        if tag == "body":
            self.role = given.get("data-role")
        if tag == "form" and given.get("method") == "post":
            self.forms.append((given.get("action") or self.page, takes))
        if tag == "a" and (given.get("href") or "").startswith("/"):
            self.links.append((given["href"] or "", takes))
        if tag not in _VOID:
            self._open.append((tag, takes))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass  # elements that end with the one around them, as list items do


def _may(role: Role, method: Literal["GET", "POST"], address: str) -> bool:
    try:
        found = resolve(address.partition("?")[0].partition("#")[0])
    except Resolver404:
        return True  # a static file
    return rule_for(found).lets(role, method)


def _refused(offers: _Offers, role: Role) -> list[str]:
    """Where links lead that ``role`` sees and may not follow."""
    return [to for to, takes in offers.links if takes is None and not _may(role, "GET", to)]


@pytest.fixture
def at_work(tiny: LocalModel, people: dict[Role, User], fake_engine: FakeEngine) -> None:
    """A hub with something to offer on each of the pages."""
    make_run("done", pk=1)
    create_key(name="Mine", user_id=people[Role.MEMBER].pk)
    fake_engine.entries["one"] = cache_entry("one")


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("page", PAGES)
def test_what_a_member_may_not_do_is_marked_and_nothing_else(
    client_of: ClientOf, page: str
) -> None:
    answer = client_of(Role.MEMBER).get(page)
    assert answer.status_code == 200
    offers = _Offers(page, answer.content.decode())
    assert offers.role == "member"
    for action, takes in offers.forms:
        assert takes == (None if _may(Role.MEMBER, "POST", action) else "owner"), action
    assert _refused(offers, Role.MEMBER) == []


@pytest.mark.usefixtures("at_work")
@pytest.mark.parametrize("page", sorted({*PAGES} - {"/keys/"}))
def test_no_link_leads_a_viewer_to_a_refusal(client_of: ClientOf, page: str) -> None:
    answer = client_of(Role.VIEWER).get(page)
    assert answer.status_code == 200
    assert _refused(_Offers(page, answer.content.decode()), Role.VIEWER) == []


def test_a_viewer_is_told_that_nothing_can_be_changed(client_of: ClientOf) -> None:
    page = client_of(Role.VIEWER).get("/models/").content.decode()
    assert _Offers("/models/", page).role == "viewer"
    assert "As a viewer you can look" in page
    assert "As a viewer you can look" not in client_of(Role.MEMBER).get("/models/").content.decode()
