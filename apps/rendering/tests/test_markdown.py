"""Markdown becomes HTML; nothing a model writes becomes a program or a request."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.rendering.markdown import render_markdown

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<div style='position:fixed;inset:0'>x</div>",
    "<form action=/playground/start/ method=post><button>x</button></form>",
    "<base href=https://evil.example>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    '[x](https://example.org "onmouseover=alert(1)")',
    "![x](javascript:alert(1))",
    '![" onerror="alert(1)](https://example.org/x.png)',
    "<javascript:alert(1)>",
    "[x]: javascript:alert(1)\n\n[x]",
    "```\n</code></pre><script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\ncode\n```',
    "```html\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "    <script>alert(1)</script>",
    "> - 1. **_~~<script>alert(1)</script>~~_**",
    "| a |\n|:-:|\n| <img src=x onerror=alert(1)> |",
    "<!-- --><script>alert(1)</script><!-- -->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "\x00<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
]

_TAG = re.compile(r"<(/?)([a-zA-Z][\w-]*)([^>]*)>")
_HARMLESS = {
    *("p", "br", "hr", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "a", "em", "strong"),
    *("s", "ul", "ol", "li", "pre", "code", "span", "table", "thead", "tbody", "tr", "th", "td"),
}


def assert_harmless(html: str) -> None:
    for _, name, attributes in _TAG.findall(html):
        assert name in _HARMLESS, html
        # Values may say anything; only names and addresses can do something.
        names = re.sub(r'"[^"]*"', '""', attributes)
        assert not re.search(r"\b(on\w+|style|src|srcdoc|formaction)\s*=", names), html
    for address in re.findall(r'href="([^"]*)"', html):
        assert re.match(r"(https?:|mailto:)", address), html


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_harmless(text: str) -> None:
    assert_harmless(render_markdown(text))


@given(
    st.lists(st.sampled_from([*HOSTILE, "\n", " ", "`", "```", "[", "](", "<", "*"])).map("".join)
)
def test_hostile_text_is_harmless_in_any_mixture(text: str) -> None:
    assert_harmless(render_markdown(text))


def test_html_is_shown_as_it_was_written() -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in render_markdown("<script>alert(1)</script>")


def test_a_link_leads_out_without_telling_where_from() -> None:
    html = render_markdown("[Django](https://www.djangoproject.com/)")

    assert 'href="https://www.djangoproject.com/"' in html
    assert 'target="_blank"' in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_a_link_into_the_hub_leads_nowhere() -> None:
    assert "href" not in render_markdown("[Click](/admin/logout/)")


def test_a_picture_becomes_a_link() -> None:
    html = render_markdown("![A cat](https://example.org/cat.png)")

    assert "<img" not in html
    assert 'href="https://example.org/cat.png"' in html
    assert ">A cat</a>" in html


def test_code_is_highlighted_by_classes() -> None:
    html = render_markdown("```python\ndef f(): pass\n```")

    assert '<pre data-language="python" tabindex="0">' in html
    assert '<span class="hl-k">def</span>' in html


def test_code_in_an_unknown_language_is_shown_plain() -> None:
    assert "<code>a &lt; b\n</code>" in render_markdown("```quux\na < b\n```")


def test_code_keeps_its_blank_lines_and_indentation() -> None:
    html = render_markdown("```python\n\n    x = 1\n```")

    assert re.sub(r"<[^>]+>", "", html) == "\n    x = 1\n\n"


def test_a_table_says_its_alignment_without_style_attributes() -> None:
    html = render_markdown("| a | b |\n|---|--:|\n| 1 | 2 |")

    assert '<td class="align-right">2</td>' in html
    assert "style=" not in html


def test_a_heading_without_words_is_left_out() -> None:
    assert "<h2>" not in render_markdown("Text\n\n##")


def test_deep_nesting_ends_in_text() -> None:
    assert_harmless(render_markdown(">" * 5000 + "x"))
    assert_harmless(render_markdown("[" * 5000))
