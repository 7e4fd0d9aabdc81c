"""Markdown to HTML that is safe to show.

What models write and what comes with models is untrusted. Raw HTML is off in the
parser, and what the parser makes is sanitised against a short list of tags, so
either alone would do.
Pictures become links: showing one would tell another machine that it was read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_TAGS = {
    *("p", "br", "hr", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "a", "em", "strong"),
    *("s", "ul", "ol", "li", "pre", "code", "span", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "ol": {"start"},
    "pre": {"data-language", "tabindex"},
    "table": {"tabindex"},
    "span": {"class"},
    "th": {"class"},
    "td": {"class"},
}
_PYGMENTS = HtmlFormatter(nowrap=True, classprefix="hl-")
_LANGUAGE = re.compile(r"[\w+#.-]{1,30}")
_EMPTY_HEADING = re.compile(r"<(h[1-6])></\1>")
_NEWLINE = re.compile(r"\r\n?|\n")


def sanitiser(relative_to: str | None = None) -> nh3.Cleaner:
    """What lets the short list of tags through. Links to addresses without a host are
    cut, or completed with ``relative_to``.
    """
    return nh3.Cleaner(
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        url_relative=("rewrite_with_base", relative_to) if relative_to else "deny",
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


_SANITISER = sanitiser()


def _highlighted(code: str, language: str) -> str:
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return escape(code)
    return str(highlight(code, lexer, _PYGMENTS))


def _render_fence(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    token = tokens[index]
    words = unescapeAll(token.info).split(maxsplit=1)
    language = words[0] if words and _LANGUAGE.fullmatch(words[0]) else ""
    code = _highlighted(token.content, language) if language else escape(token.content)
    # The box scrolls sideways, so a keyboard has to reach it.
    return f'<pre data-language="{language}" tabindex="0"><code>{code}</code></pre>\n'


def _render_image(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    token = tokens[index]
    address = str(token.attrs.get("src", ""))
    return f'<a href="{escape(address)}">{escape(token.content or address)}</a>'


def _render_table(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    """A table scrolls sideways like code, so a keyboard has to reach it."""
    return '<table tabindex="0">\n'


def _render_cell(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    """A cell that says its alignment with a class: style attributes are forbidden."""
    token = tokens[index]
    _, _, side = str(token.attrs.get("style", "")).partition("text-align:")
    return f'<{token.tag} class="align-{side}">' if side else f"<{token.tag}>"


def parser() -> MarkdownIt:
    """CommonMark with tables and strikethrough, that makes safe HTML."""
    made = MarkdownIt("commonmark", {"html": False, "maxNesting": 40})
    made.enable(["table", "strikethrough"])
    made.add_render_rule("fence", _render_fence)
    made.add_render_rule("code_block", _render_fence)
    made.add_render_rule("image", _render_image)
    made.add_render_rule("table_open", _render_table)
    made.add_render_rule("th_open", _render_cell)
    made.add_render_rule("td_open", _render_cell)
    return made


_PARSER = parser()


@lru_cache(maxsize=512)
def render_markdown(text: str) -> SafeString:
    """``text`` as sanitised HTML, safe to put into a page."""
    return sanitised(_PARSER.render(text))


@dataclass(frozen=True)
class LiveBlocks:
    """Markdown that is still being written, as far as it goes."""

    closed: SafeString
    """The blocks that more text won't change."""
    open: SafeString
    """The last block, which it may."""
    closed_length: int
    """How many characters of the text the closed blocks are."""


def render_live(text: str) -> LiveBlocks:
    """The blocks of ``text``, the last one apart.

    What comes after may still tell more about a closed block (a link's address
    given at the end), so a finished text is rendered once more as a whole.
    """
    environment: dict[str, Any] = {}
    tokens = _PARSER.parse(text, environment)
    starts = [at for at, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0]
    last = starts[-1] if starts else 0
    lines = tokens[last].map if starts else None

    def rendered(some: list[Token]) -> SafeString:
        return sanitised(_PARSER.renderer.render(some, _PARSER.options, environment))

    return LiveBlocks(
        rendered(tokens[:last]),
        rendered(tokens[last:]),
        _line_start(text, lines[0] if lines else 0),
    )


def _line_start(text: str, line: int) -> int:
    """The offset of line number ``line``, counted from 0 as the parser counts."""
    ends = (match.end() for match in _NEWLINE.finditer(text))
    return next(islice(ends, line - 1, None), len(text)) if line else 0


def sanitised(html: str, cleaner: nh3.Cleaner = _SANITISER) -> SafeString:
    """``html`` with only the tags and attributes that ``cleaner`` lets through."""
    # A heading without words, as after `##`, is only in the way of screen readers.
    html = _EMPTY_HEADING.sub("", html)
    return mark_safe(cleaner.clean(html))  # noqa: S308 - sanitised
