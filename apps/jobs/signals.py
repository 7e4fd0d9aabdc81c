"""What other apps may want to know of jobs."""

from django.dispatch import Signal

asked = Signal()
"""Somebody wants a job to end, to pause or to go on. Sent in the transaction that notes it,
with ``job`` and ``wish``: ``cancel``, ``pause`` or ``resume``."""
