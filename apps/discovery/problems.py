"""What Discover and the downloads refuse, as the APIs answer it."""

from __future__ import annotations

from apps.discovery import errors
from apps.discovery.downloads.errors import DownloadError
from apps.inference.api.errors import Problem, problem

_ANSWERS: tuple[tuple[type[errors.DiscoveryError], int, str], ...] = (
    (errors.InvalidRepoId, 404, "repository_not_found"),
    (errors.RepoNotFound, 404, "repository_not_found"),
    (errors.TokenNeeded, 403, "token_needed"),
    (errors.TokenRejected, 403, "token_rejected"),
    (errors.LicenceNotAccepted, 403, "licence_not_accepted"),
    (errors.AccessPending, 403, "access_pending"),
    (errors.AccessRefused, 403, "access_refused"),
    (errors.RepoExists, 409, "repository_exists"),
    (errors.RequestRefused, 400, "request_refused"),
    (errors.NoUsableWeights, 400, "no_usable_weights"),
    (errors.NoUsableRows, 400, "no_usable_rows"),
    (errors.UnknownPart, 404, "part_not_found"),
    (errors.NotEnoughDisk, 507, "not_enough_disk"),
    (errors.NotWritable, 507, "not_writable"),
)
"""The first that fits; what is left is the hub's own trouble."""

_ABOUT_THE_REPOSITORY = (errors.InvalidRepoId, errors.RepoNotFound, errors.NoUsableWeights)


def discovery_problem(error: errors.DiscoveryError) -> Problem:
    """The answer to what could not be had from the hub."""
    for kind, status, code in _ANSWERS:
        if isinstance(error, kind):
            about = isinstance(error, _ABOUT_THE_REPOSITORY)
            return problem(status, str(error), param="repo_id" if about else None, code=code)
    return problem(503, str(error), code="hub_unreachable")


def download_problem(error: DownloadError) -> Problem:
    """All of them are a matter of the moment."""
    return problem(409, str(error), code="download_refused")
