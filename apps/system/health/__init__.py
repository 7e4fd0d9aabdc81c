"""Whether the hub's parts work, each asked for something small.

``run_checks`` is what the Health page, ``GET /admin/health`` and `mlx-hub doctor` show.
A check is a function of its own file: it asks one part, and says in a Finding what it saw,
why, and what to do. It raises nothing.
"""

from apps.system.health.findings import Checked, Finding, Report, State

__all__ = ["Checked", "Finding", "Report", "State", "run_checks"]


def run_checks() -> Report:
    """Ask every part; takes a few seconds at most, and raises nothing."""
    # Here: this package is a Django app, and its checks need all of them loaded.
    from apps.system.health.running import run_all

    return run_all()
