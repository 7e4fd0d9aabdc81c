"""What can go wrong between the hub and MLflow.

TrackingError
├── StoreUnreachable   nobody can be told now; all runs wait
└── RunRefused         this run can't be told; the others can
"""

from __future__ import annotations


class TrackingError(Exception):
    """``str()`` says what happened and what to do, without credentials."""


class StoreUnreachable(TrackingError):
    """MLflow is away, slow or wants credentials."""


class RunRefused(TrackingError):
    """MLflow answered, and refused what it was told of one run."""
