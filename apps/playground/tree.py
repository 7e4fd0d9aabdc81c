"""The messages of one conversation as a tree, read without another query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from apps.playground.models import Message


class MessageTree:
    """Paths and siblings among messages; siblings stand in the order they were written."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._by_id: dict[int | None, Message] = {}
        self._replies: dict[int | None, list[Message]] = defaultdict(list)
        for message in sorted(messages, key=lambda message: message.pk):
            self._by_id[message.pk] = message
            self._replies[message.parent_id].append(message)

    def path(self, leaf_id: int | None) -> list[Message]:
        """The messages from the first to the one with ``leaf_id``; none where it is gone."""
        path: list[Message] = []
        while (message := self._by_id.get(leaf_id)) is not None:
            path.append(message)
            leaf_id = message.parent_id
        return path[::-1]

    def siblings(self, message: Message) -> list[Message]:
        """All versions of ``message``, itself among them."""
        return self._replies[message.parent_id]

    def newest_leaf(self, message: Message) -> Message:
        """The end of the branch through ``message`` that was last written to."""
        while self._replies[message.pk]:
            message = self._replies[message.pk][-1]
        return message

    def below(self, message: Message) -> list[Message]:
        """The messages that hang on ``message``, on all its branches."""
        found: list[Message] = []
        waiting = [message]
        while waiting:
            replies = self._replies[waiting.pop().pk]
            found += replies
            waiting += replies
        return found
