"""What a secret looks like, and how text is shown without it.

The kinds that the hub meets are known by their form: its own keys, Hugging Face's tokens, keys
of OpenAI-like services, bearer headers, signed addresses, passwords in addresses. What the
owner configured is known exactly, and registered with ``hide``.
"""

from __future__ import annotations

import re

HIDDEN = "[hidden]"

SHORTEST = 8
"""A configured secret of fewer characters would blank ordinary words."""

_VENDORS = r"hf_|sk-ant-|sk-|ghp_|github_pat_|glpat-|xox[abp]-"
_HEADERS = r"authorization|proxy-authorization|x-api-key|x-csrftoken|cookie|set-cookie"
_PARAMETERS = r"x-amz-[a-z-]+|signature|sig|policy|key-pair-id|token|access_token|api_key|password"

_PATTERNS = (
    # The hub's own keys keep the part that names them.
    (re.compile(r"\b(mlxhub_[A-Za-z0-9]{8})_[A-Za-z0-9]{20,}"), rf"\1_{HIDDEN}"),
    (re.compile(rf"\b({_VENDORS})[A-Za-z0-9_-]{{16,}}"), rf"\1{HIDDEN}"),
    # A header's value may be of several words: all of it goes.
    (
        re.compile(rf"(?i)\b({_HEADERS})(['\"]?\s*[:=]\s*['\"]?)[^'\"\r\n,}}]{{4,}}"),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer)\s+[A-Za-z0-9+/_=.~-]{8,}"), rf"\1 {HIDDEN}"),
    (
        re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,100}):[^\s/@]{1,200}@"),
        rf"\1:{HIDDEN}@",
    ),
    # An invitation opens an account.
    (re.compile(r"(/join/[A-Za-z0-9_-]+/)[A-Za-z0-9_-]{8,}"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)([?&](?:{_PARAMETERS})=)[^&\s'\"<>]+"), rf"\1{HIDDEN}"),
)

_known: set[str] = set()


def hide(secret: str) -> None:
    """From now on ``secret`` itself is unreadable too, wherever it stands in a text."""
    if len(secret) >= SHORTEST:
        _known.add(secret)


def redacted(text: str) -> str:
    """``text`` without what looks like a secret, or is known to be one."""
    for secret in _known:
        text = text.replace(secret, HIDDEN)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
