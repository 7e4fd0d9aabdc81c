"""One answer of the hub, bounded in time and in size.

The library's own calls for these read whatever comes, some of them without a
time-out. This goes through the library's session all the same: its proxies, its
certificates, its offline mode and its errors.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx2
from huggingface_hub import get_session
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]
from pydantic_core import from_json

from apps.discovery import errors
from apps.discovery.hub.access import Access

SECONDS = 10.0
"""What one answer may take, in all; a page waits for it."""

MAX_ANSWER_BYTES = 16 * 1024**2
"""Of a listing; a repository of 10,000 files has about 3 MB."""


MAX_ERROR_BYTES = 64 * 1024
"""Of the body of a refusal."""


@dataclass(frozen=True)
class Answer:
    """What came, and where the next page of it is."""

    body: bytes
    next_url: str | None
    is_whole: bool = True
    """False where ``at_most`` bytes are not all of it."""


def fetch(
    url: str, access: Access, *, params: dict[str, Any] | None = None, at_most: int
) -> Answer:
    """The first ``at_most`` bytes that ``url`` answers with.

    Raises the library's and the network's errors; ``explained`` words them.
    """
    ends_at = time.monotonic() + SECONDS
    chunks: list[bytes] = []
    size = 0
    headers = access.headers | {"Accept-Encoding": "gzip"}
    stream = get_session().stream("GET", url, params=params, headers=headers, timeout=SECONDS)
    with stream as response:
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > (MAX_ERROR_BYTES if response.is_error else at_most):
                break
            if time.monotonic() > ends_at:
                raise errors.HubUnreachable(
                    f"{access.endpoint} answers too slowly. Check the network, then try again."
                )
        body = b"".join(chunks)
        _raise_for_status(response, body[:MAX_ERROR_BYTES])
        next_url = response.links.get("next", {}).get("url")
    return Answer(body[:at_most], next_url, is_whole=size <= at_most)


def _raise_for_status(response: httpx2.Response, body: bytes) -> None:
    """The library's error for the status; it would read a body of any length for it."""
    kept = {key: response.headers[key] for key in response.headers if key.startswith("x-")}
    hf_raise_for_status(
        httpx2.Response(response.status_code, headers=kept, content=body, request=response.request)
    )


def fetch_json(
    url: str, access: Access, *, params: dict[str, Any] | None = None
) -> tuple[object, str | None]:
    """The JSON that ``url`` answers with, and where its next page is.

    Raises HubUnreachable where it is none or too much, beside what ``fetch`` raises.
    """
    answer = fetch(url, access, params=params, at_most=MAX_ANSWER_BYTES)
    try:
        # Python's own parser overflows its stack on deep nesting.
        return from_json(answer.body), answer.next_url
    except ValueError as error:
        raise not_the_hub(access) from error


def not_the_hub(access: Access) -> errors.HubUnreachable:
    """For an answer that can't be Hugging Face's."""
    return errors.HubUnreachable(
        f"{access.endpoint} did not answer as Hugging Face does. Check the network "
        "(a sign-in page, a proxy) and MLXHUB_HF_ENDPOINT."
    )
