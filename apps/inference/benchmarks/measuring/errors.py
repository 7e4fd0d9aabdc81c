"""Why a server could not be measured.

MeasuringError
  BadAddress           no address of an HTTP API
  ServerUnreachable    no connection, or one that broke
  ServerSilent         no answer, or no next piece of it, in time
  ServerRefused        an error in place of an answer
  NotStreaming         an answer, but not as a stream of pieces
"""

from __future__ import annotations


class MeasuringError(Exception):
    """The message says what happened, why, and what to do."""


class BadAddress(MeasuringError):
    """The base URL can't be used."""


class ServerUnreachable(MeasuringError):
    """Nothing answers at the base URL, or the connection broke."""


class ServerSilent(MeasuringError):
    """The server took the question and did not answer in time."""


class ServerRefused(MeasuringError):
    """The server answered with an error."""


class NotStreaming(MeasuringError):
    """The server answered without streaming, so nothing can be timed."""
