"""What can go wrong before an answer begins.

PlaygroundError
├── NoModel         the conversation has no model to answer with
├── AnswerRunning   the branch's last answer is still being written
└── NotContinuable  an answer has nothing to go on from, or is not this model's

What goes wrong while an answer is being written is stored beside the answer.
"""

from __future__ import annotations


class PlaygroundError(Exception):
    """The request can't be done now; ``str()`` says why and what to do."""


class NoModel(PlaygroundError):
    def __init__(self) -> None:
        super().__init__(
            "This conversation's model is no longer registered. Choose another one and try again."
        )


class AnswerRunning(PlaygroundError):
    def __init__(self) -> None:
        super().__init__("An answer is still being written. Wait for it, or stop it first.")


class NotContinuable(PlaygroundError):
    """``str()`` says which of the conditions is not met."""
