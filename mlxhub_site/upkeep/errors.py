"""What can go wrong in the upkeep of a hub.

UpkeepError     it was not done; the message says why and what to do
  BadArchive    a backup that can't be trusted
  FileChanged   a file changed while it was read
  UpkeepRefused it is not to be done now
"""

from __future__ import annotations


class UpkeepError(Exception):
    """Nothing was changed."""


class BadArchive(UpkeepError):
    pass


class FileChanged(UpkeepError):
    pass


class UpkeepRefused(UpkeepError):
    pass
