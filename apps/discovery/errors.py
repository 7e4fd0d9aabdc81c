"""Why a model or a dataset could not be had from Hugging Face.

    DiscoveryError
    ├── InvalidRepoId         the text can't name a repository
    ├── RepoNotFound          no such repository or revision, or it is private
    ├── AccessRefused         it is there, but not for this caller
    │   ├── TokenNeeded         gated or private, and no token was sent
    │   ├── TokenRejected       the token is wrong, expired or revoked
    │   ├── LicenceNotAccepted  the token's owner has not asked for access
    │   ├── AccessPending       asked, and the authors have not answered
    │   └── AccessDenied        the authors said no, or the token lacks the right
    ├── RepoExists            a new repository can't be called so
    ├── RequestRefused        the hub makes no sense of a cursor or a revision
    ├── NoUsableWeights       nothing in it that MLX can load
    ├── NoUsableRows          nothing in it that is read as rows
    ├── UnknownPart           it has no such configuration or split
    ├── HubUnreachable        no answer, or none that makes sense
    ├── NotEnoughDisk         the files would not fit
    ├── NotWritable           the disk refuses them for another reason
    └── DownloadDamaged       what arrived is not what the listing promised

Every message says what happened, why, and what to do, and can be shown to a user.
"""

from __future__ import annotations


class DiscoveryError(Exception):
    """A search, look-up or download failed for a reason that a user can act on."""


class InvalidRepoId(DiscoveryError):
    """The text is not of the form ``name`` or ``owner/name``."""


class RepoNotFound(DiscoveryError):
    """The hub knows no such repository or revision, or hides it from this caller."""


class AccessRefused(DiscoveryError):
    """The repository exists and this caller may not read it."""


class TokenNeeded(AccessRefused):
    """The repository is gated and the request carried no token."""


class TokenRejected(AccessRefused):
    """The hub does not accept the token that was sent."""


class LicenceNotAccepted(AccessRefused):
    """The token's owner has not accepted the repository's conditions yet."""


class AccessPending(AccessRefused):
    """Access was asked for and is not granted yet."""


class AccessDenied(AccessRefused):
    """Access was asked for and refused, or the token does not reach that far."""


class RepoExists(DiscoveryError):
    """There is a repository of this name already."""


class RequestRefused(DiscoveryError):
    """The hub can't read what was asked: a cursor or a revision that it never gave out."""


class NoUsableWeights(DiscoveryError):
    """The repository holds no weights in a format that MLX loads."""


class NoUsableRows(DiscoveryError):
    """The dataset holds no rows in a format that is read here."""


class UnknownPart(DiscoveryError):
    """The dataset has no such configuration or split."""


class HubUnreachable(DiscoveryError):
    """The hub gave no answer in time, or one that is not a hub's.

    ``passing``: whether trying again by itself may help. ``retry_after``: seconds
    until the hub wants to be asked again, where it said so.
    """

    def __init__(
        self, message: str, *, passing: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.passing = passing
        self.retry_after = retry_after


class NotEnoughDisk(DiscoveryError):
    """The files would not fit on the disk and leave room to work."""


class NotWritable(DiscoveryError):
    """The models folder can't be written to."""


class DownloadDamaged(DiscoveryError):
    """A file's content differs from the checksum in the repository's listing."""
