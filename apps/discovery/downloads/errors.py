"""What the queue of downloads refuses.

DownloadError
├── AlreadyOrdered   another download is to become the model of this name
├── StillUnfinished  one that is not over can't be taken off the list
└── NoPlace          as many run at once as may
"""

from __future__ import annotations


class DownloadError(Exception):
    """Something asked of a download was refused; the message says why and what to do."""


class AlreadyOrdered(DownloadError):
    """Another download is to become the model of this name."""


class StillUnfinished(DownloadError):
    """The download is not over."""


class NoPlace(DownloadError):
    """As many downloads run as may run at once."""
