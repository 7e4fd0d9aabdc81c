"""Who waits, in which order: a line in which clients take turns. Pure Python."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from apps.inference.engine.sequence import Sequence


class WaitingLine:
    """Waiting sequences. Each client's come in order; the clients come in turn."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Sequence]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def __iter__(self) -> Iterator[Sequence]:
        for queue in self._queues.values():
            yield from queue

    def heads(self) -> list[Sequence]:
        """The next sequence of each client, in the order of the clients' turns."""
        return [queue[0] for queue in self._queues.values()]

    def join(self, sequence: Sequence) -> None:
        self._queues.setdefault(sequence.client, deque()).append(sequence)

    def rejoin(self, sequence: Sequence) -> None:
        """Take back one that lost its place: it and its client come first."""
        self._queues.setdefault(sequence.client, deque()).appendleft(sequence)
        self._queues.move_to_end(sequence.client, last=False)

    def leave(self, sequence: Sequence) -> None:
        """Without having had its turn."""
        queue = self._queues[sequence.client]
        queue.remove(sequence)
        if not queue:
            del self._queues[sequence.client]

    def take(self, head: Sequence) -> None:
        """Its turn has come; its client goes to the end of the line.

        Also a client that has nothing more waiting: it comes back there with its
        next request.
        """
        queue = self._queues.pop(head.client)
        queue.remove(head)
        if queue:
            self._queues[head.client] = queue
