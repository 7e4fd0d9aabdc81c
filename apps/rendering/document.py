"""A document that came from elsewhere, such as a model's card, as part of a page of ours.

Beyond ``render_markdown``: HTML in it is left out and its words are kept, headings
step back behind the page's own, and links lead to where the document came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import nh3
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from apps.rendering.markdown import parser, sanitised, sanitiser

_HEADING_STEP = 2
"""The page has an h1, and an h2 over the document."""


def _render_heading(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    token = tokens[index]
    level = min(6, int(token.tag[1:]) + _HEADING_STEP)
    return f"<h{level}>" if token.nesting > 0 else f"</h{level}>\n"


def _render_html_block(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    words = nh3.clean(tokens[index].content, tags=set()).strip()
    return f"<p>{words}</p>\n" if words else ""


def _render_html_inline(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any
) -> str:
    return ""


def _parser() -> MarkdownIt:
    # HTML is recognised, to be left out; the rules below are all that it comes to.
    made = parser().enable(["html_block", "html_inline"])
    made.options["html"] = True
    made.add_render_rule("html_block", _render_html_block)
    made.add_render_rule("html_inline", _render_html_inline)
    made.add_render_rule("heading_open", _render_heading)
    made.add_render_rule("heading_close", _render_heading)
    return made


_PARSER = _parser()


@lru_cache(maxsize=64)
def render_document(text: str, relative_to: str) -> SafeString:
    """``text`` as sanitised HTML; links without a host are completed with ``relative_to``."""
    return sanitised(_PARSER.render(text), sanitiser(relative_to))
