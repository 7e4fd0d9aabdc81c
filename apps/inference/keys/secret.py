"""What an API key looks like, and how one is told from another.

    mlxhub_<8 characters that name it>_<43 characters that only its holder knows>

The secret part carries 256 random bits, so a plain SHA-256 of the key is enough to
keep: there is no dictionary to try against it, and a slow hash would only slow
every request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from dataclasses import dataclass

PREFIX = "mlxhub_"

_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 8
_SECRET_LENGTH = 43
"""62^43 is a little more than 2^256."""

_FORMAT = re.compile(rf"{PREFIX}([A-Za-z0-9]{{{_ID_LENGTH}}})_[A-Za-z0-9]{{{_SECRET_LENGTH}}}")


@dataclass(frozen=True)
class NewKey:
    """A key at the only moment at which it is known whole."""

    text: str
    public_id: str
    digest: str


def new_key() -> NewKey:
    """A key that nobody has seen."""
    public_id = _random(_ID_LENGTH)
    text = f"{PREFIX}{public_id}_{_random(_SECRET_LENGTH)}"
    return NewKey(text, public_id, digest_of(text))


def looks_like_key(text: str) -> bool:
    """Whether it means to be one of this hub's keys."""
    return text.startswith(PREFIX)


def public_id_of(text: str) -> str | None:
    """The part of a key that names it; None where ``text`` has not the form of a key."""
    match = _FORMAT.fullmatch(text)
    return match[1] if match else None


def digest_of(text: str) -> str:
    """What is kept of a key: SHA-256, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def same_key(text: str, digest: str) -> bool:
    """Whether ``digest`` is that of ``text``, in a time that tells nothing of either."""
    return secrets.compare_digest(digest_of(text), digest)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
