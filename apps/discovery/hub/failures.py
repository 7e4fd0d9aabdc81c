"""The library's errors, the network's and the disk's, in this package's words."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from apps.discovery import errors
from apps.discovery.hub.access import Access
from apps.discovery.hub.network import trouble_of

logger = logging.getLogger(__name__)

_THERE = "; a download goes on from where it stopped."

_BUSY = (408, 425, 429)
"""Statuses below 500 that another try may turn into an answer."""


@contextmanager
def explained(repo_id: str, access: Access, *, resumes: bool = False) -> Iterator[None]:
    """Turns the library's errors, the network's and the disk's into this package's.

    ``repo_id`` begins the sentences: it may also be words for what is asked. ``resumes``:
    another try goes on where this one broke off.
    """
    if access.offline:
        raise errors.HubUnreachable(
            f"Offline mode is on, so {access.endpoint} was not asked. Unset MLXHUB_HF_OFFLINE (or "
            "HF_HUB_OFFLINE), restart the hub, then try again.",
            passing=False,
        )
    try:
        yield
    except GatedRepoError as error:
        raise _refusal(repo_id, access, error) from error
    except RepositoryNotFoundError as error:
        raise errors.RepoNotFound(
            f"{repo_id} is not on {access.endpoint}, or it is private. Check the spelling; for a "
            "private repository set HF_TOKEN to an access token that may read it."
        ) from error
    except (RevisionNotFoundError, RemoteEntryNotFoundError) as error:
        raise errors.RepoNotFound(
            f"{repo_id} has no such revision, or its files changed just now. Name another "
            "revision, or try again."
        ) from error
    except HfHubHTTPError as error:
        raise _bad_answer(repo_id, access, error, resumes=resumes) from error
    except OfflineModeIsEnabled as error:
        raise errors.HubUnreachable(
            f"HF_HUB_OFFLINE is set, so {access.endpoint} was not asked. Unset it, then try again.",
            passing=False,
        ) from error
    except httpx2.HTTPError as error:
        logger.info("%s gave no answer: %s: %s", access.endpoint, type(error).__name__, error)
        trouble = trouble_of(error)
        raise errors.HubUnreachable(
            f"{access.endpoint} can't be reached: {trouble.why}. {trouble.remedy}, then "
            f"try again{_THERE if resumes else '.'}"
        ) from error
    except OSError as error:
        raise _disk_error(error) from error


def _refusal(repo_id: str, access: Access, error: GatedRepoError) -> errors.AccessRefused:
    """Which gate it was. Only the status and the message's words tell them apart."""
    page = f"{access.endpoint}/{repo_id}"
    said = (error.server_message or "").lower()
    if error.response.status_code == 401:
        return errors.TokenNeeded(
            f"{repo_id} is gated. Accept its conditions at {page}, make an access token at "
            f"{access.endpoint}/settings/tokens, set HF_TOKEN to it, then try again."
        )
    if "awaiting" in said:
        return errors.AccessPending(
            f"Your request to access {repo_id} waits for its authors. Try again when they agreed; "
            f"{page} shows how it stands."
        )
    if "rejected" in said:
        return errors.AccessDenied(
            f"The authors of {repo_id} refused your request to access it. Choose another."
        )
    return errors.LicenceNotAccepted(
        f"{repo_id} is gated, and your account has not accepted its conditions. Accept them at "
        f"{page}, then try again."
    )


def _bad_answer(
    repo_id: str, access: Access, error: HfHubHTTPError, *, resumes: bool
) -> errors.DiscoveryError:
    status = error.response.status_code
    if status == 401:
        return errors.TokenRejected(
            f"{access.endpoint} does not accept the access token. Make a new one at "
            f"{access.endpoint}/settings/tokens and set HF_TOKEN to it, or unset it."
        )
    if status == 403:
        return errors.AccessDenied(
            f"The access token may not read {repo_id}. Give it that right at "
            f"{access.endpoint}/settings/tokens, then try again."
        )
    if status == 400:
        return errors.RequestRefused(
            f"{access.endpoint} does not understand the request. Start the search from its "
            "beginning, or check the revision's name."
        )
    return errors.HubUnreachable(
        f"{access.endpoint} answered with status {status}: {_meaning(status)}. Try again in a while"
        f"{_THERE if resumes else '.'}",
        passing=status >= 500 or status in _BUSY,
        retry_after=_seconds(error.response.headers.get("Retry-After", "")),
    )


def _meaning(status: int) -> str:
    """A status without an error of its own, in words."""
    if status == 429:
        return "too many requests came from here"
    return "it is out of order just now" if status >= 500 else "it refuses the request"


def _seconds(retry_after: str) -> float | None:
    """What a Retry-After header says; one with a date is passed over, as the library does."""
    return float(retry_after) if retry_after.isdecimal() and len(retry_after) < 10 else None


def _disk_error(error: OSError) -> errors.DiscoveryError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.NotEnoughDisk(
            "The disk is full. Make room, then try again: the download goes on from where it "
            "stopped."
        )
    return errors.NotWritable(
        f"The download can't be written ({error.strerror}: {error.filename2 or error.filename}). Check the folder's "
        "permissions, then try again."
    )
