"""How a command ends: its exit status, and the errors that lead there.

    CommandFailed     1  it was tried and did not work
      BadUsage        2  what was asked makes no sense
      NotFound        3  there is no such model, job, dataset, …
      Unreachable     4  the hub, its engine or a server that is needed does not answer
      Refused         5  it is not allowed, or not now: key, role, conflict, limit, preflight
      Interrupted   130  Ctrl-C ended it

Messages say what happened, why, and what to do. `mlxhub_site.cli` prints them as one
line on standard error. The status is 130 also where Ctrl-C ended a job that a command was at.
"""

from __future__ import annotations

from enum import IntEnum

OUTDATED = (
    "The database is an earlier version's. Stop the hub if it runs, then bring the database up to "
    "date with `mlx-hub upgrade`, or with `mlx-hub up`, which does so as it starts."
)


class ExitCode(IntEnum):
    """Exit statuses of `mlx-hub`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    REFUSED = 5
    INTERRUPTED = 130


class CommandFailed(Exception):
    """The command did not do what was asked."""

    exit_code = ExitCode.FAILED


class BadUsage(CommandFailed):
    exit_code = ExitCode.USAGE


class NotFound(CommandFailed):
    exit_code = ExitCode.NOT_FOUND


class Unreachable(CommandFailed):
    exit_code = ExitCode.UNREACHABLE


class Refused(CommandFailed):
    exit_code = ExitCode.REFUSED


class Interrupted(CommandFailed):
    exit_code = ExitCode.INTERRUPTED


_OF_STATUS: dict[int, type[CommandFailed]] = {
    400: BadUsage,
    401: Refused,
    403: Refused,
    404: NotFound,
    405: Refused,
    409: Refused,
    413: BadUsage,
    422: BadUsage,
    429: Refused,
    502: Unreachable,
    503: Unreachable,
    504: Unreachable,
    507: Refused,
}


def failure_of(status: int, message: str) -> CommandFailed:
    """The error that an HTTP status of the hub's API stands for."""
    return _OF_STATUS.get(status, CommandFailed)(message)
