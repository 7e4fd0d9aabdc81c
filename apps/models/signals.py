"""What the registry tells those who build on it, and what it asks them."""

from __future__ import annotations

from django.dispatch import Signal

serving_changed = Signal()
"""How a model is to be served has changed. Sent with ``model`` once that is saved."""

deletion_considered = Signal()
"""What would a deletion take along? Sent with ``model`` and ``adapter`` (None: the model itself).

Receivers answer with a list of ``consequences.Consequence``.
"""

deletion_begins = Signal()
"""Sent with ``model`` and ``adapter`` before anything of it is removed.

Receivers let go of it. One that can't raises ModelInUse, and nothing is removed.
"""

provenance_asked = Signal()
"""How was this made? Sent with ``model`` and ``adapter`` (None: the model itself).

Receivers answer with a ``provenance.Provenance``, or None where they did not make it.
"""
