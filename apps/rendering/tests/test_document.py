"""Documents from elsewhere keep their words and lose everything else."""

from __future__ import annotations

import re

import pytest

from apps.rendering.document import render_document
from apps.rendering.tests.test_markdown import HOSTILE, assert_harmless

BASE = "https://hub.example/acme/tiny/blob/main/"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless(text: str) -> None:
    assert_harmless(render_document(text, BASE))


def test_html_is_left_out_and_its_words_are_kept() -> None:
    html = render_document('<div align="center">\n<b>Tiny</b> &amp; quick\n</div>\n\nA<br>b', BASE)
    assert "Tiny &amp; quick" in html
    assert "div" not in html
    assert "&lt;" not in html


def test_a_script_leaves_nothing() -> None:
    assert render_document("<script>\nalert(1)\n</script>", BASE) == ""


def test_headings_step_back_behind_the_pages_own() -> None:
    html = render_document("# One\n\n## Two\n\n##### Five", BASE)
    assert re.findall(r"<h(\d)>", html) == ["3", "4", "6"]


def test_links_without_a_host_lead_to_where_the_document_came_from() -> None:
    html = render_document("[licence](LICENSE) ![chart](img/chart.png)", BASE)
    assert f'href="{BASE}LICENSE"' in html
    assert f'href="{BASE}img/chart.png"' in html
    assert "<img" not in html


def test_a_link_can_not_leave_the_other_host_for_this_one() -> None:
    html = render_document("[x](//127.0.0.1/admin/) [y](/admin/)", BASE)
    assert 'href="https://hub.example/admin/"' in html
    assert_harmless(html)
