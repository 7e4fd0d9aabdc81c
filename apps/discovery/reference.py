"""A repository that somebody named: its id, or the address of one of its pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from apps.discovery.errors import RepoNotFound
from apps.discovery.listing import is_repo_id

_HOSTS = {"huggingface.co", "www.huggingface.co", "hf.co"}
_REVISION = re.compile(r"[^\s\\^~:?*\[\x00-\x1f]{1,200}")
_OTHER_KINDS = {"datasets", "spaces", "papers", "collections", "docs", "blog", "organizations"}


@dataclass(frozen=True)
class Reference:
    """A repository, and a revision where one is named."""

    repo_id: str
    revision: str = ""


def reference_in(text: str, endpoint: str) -> Reference | None:
    """The repository that ``text`` names, or None where it is words to search for.

    Understood are ``owner/name``, addresses on Hugging Face or ``endpoint`` with or
    without what follows the repository, and ``hf://owner/name@revision``.
    """
    text = text.strip()
    if text.startswith("hf://"):
        repo_id, _, revision = text.removeprefix("hf://").partition("@")
        return _reference(repo_id.strip("/").removeprefix("models/"), revision)
    if "://" not in text:
        host = text.partition("/")[0].lower()
        if host not in _HOSTS:
            return _reference(text, "")
        text = f"https://{text}"
    try:
        url = urlsplit(text)
        host = (url.netloc.rpartition("@")[2]).lower()
    except ValueError:  # such as half an IPv6 address
        return None
    if host not in _HOSTS | {urlsplit(endpoint).netloc.lower()}:
        return None
    parts = [unquote(part) for part in url.path.split("/") if part]
    if len(parts) < 2 or parts[0] in _OTHER_KINDS:
        return None
    follows = parts[2:]
    names_revision = len(follows) >= 2 and follows[0] in {"tree", "blob", "resolve", "commit"}
    return _reference("/".join(parts[:2]), follows[1] if names_revision else "")


def is_revision(text: str) -> bool:
    """Whether Git could have a branch, tag or commit of this name."""
    return _REVISION.fullmatch(text) is not None and ".." not in text


def require_revision(text: str) -> None:
    """Raises RepoNotFound where no revision can be called so; empty is the newest."""
    if text and not is_revision(text):
        raise RepoNotFound(f"No revision can be called {text[:80]!r}. Choose another one.")


def _reference(repo_id: str, revision: str) -> Reference | None:
    if not is_repo_id(repo_id):
        return None
    return Reference(repo_id, revision if is_revision(revision) else "")
