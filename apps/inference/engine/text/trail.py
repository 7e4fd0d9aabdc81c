"""The tokens behind an answer's text, each reported once, when its text is final."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from apps.inference.engine.protocol import TokenLogprob, TopToken
from apps.inference.engine.sampling.logprobs import ChosenToken
from apps.inference.engine.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class _Placed:
    chosen: ChosenToken
    start: int
    stop: int


class LogprobTrail:
    """Knows which characters of the answer each token stands for.

    A character that several tokens make up belongs to all of them; they are final
    together. Positions count characters of the decoded text from its beginning.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._incomplete: list[ChosenToken] = []
        self._placed: deque[_Placed] = deque()
        self._length = 0

    def add(self, chosen: ChosenToken, characters: int) -> None:
        """A token, and how many characters became whole with it."""
        self._incomplete.append(chosen)
        if characters:
            self._place(characters)

    def within(self, sent: int) -> tuple[TokenLogprob, ...]:
        """The tokens whose text is all in the first ``sent`` characters."""
        return self._release(lambda placed: placed.stop <= sent)

    def before(self, cut: int) -> tuple[TokenLogprob, ...]:
        """The tokens with text before a stop string that begins at character ``cut``.

        Those of the stop string itself are not reported, as OpenAI does not.
        """
        return self._release(lambda placed: placed.start < cut)

    def rest(self) -> tuple[TokenLogprob, ...]:
        """All that is left, at the end of an answer that nothing was cut from."""
        self._place(0)
        return self._release(lambda placed: True)

    def _place(self, characters: int) -> None:
        stop = self._length + characters
        self._placed.extend(_Placed(token, self._length, stop) for token in self._incomplete)
        self._incomplete.clear()
        self._length = stop

    def _release(self, final: Callable[[_Placed], bool]) -> tuple[TokenLogprob, ...]:
        released = []
        while self._placed and final(self._placed[0]):
            released.append(self._described(self._placed.popleft().chosen))
        return tuple(released)

    def _described(self, chosen: ChosenToken) -> TokenLogprob:
        token = self._token(chosen.token, chosen.logprob)
        return TokenLogprob(
            text=token.text,
            bytes=token.bytes,
            logprob=token.logprob,
            top=tuple(self._token(*likely) for likely in chosen.top),
        )

    def _token(self, token: int, logprob: float) -> TopToken:
        data = self._vocabulary.bytes_of(token)
        return TopToken(text=data.decode(errors="replace"), bytes=tuple(data), logprob=logprob)
