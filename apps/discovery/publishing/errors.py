"""What publishing refuses.

PublishingError
├── NotPublishable      it was not made here, or its files can't be sent
└── PublicationActive   it is at work
"""

from __future__ import annotations


class PublishingError(Exception):
    """``str()`` says what is wrong and what to do."""


class NotPublishable(PublishingError):
    """This model or adapter can't be published."""


class PublicationActive(PublishingError):
    """A publication that is at work can't be forgotten."""
