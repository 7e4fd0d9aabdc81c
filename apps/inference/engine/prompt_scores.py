"""A prompt's tokens as a caller sees them, and how likely the model found each."""

from __future__ import annotations

from apps.inference.engine.protocol import PromptToken, PromptTokens, TopToken
from apps.inference.engine.sampling.logprobs import ChosenToken
from apps.inference.engine.text.vocabulary import Vocabulary
from apps.inference.engine.tokens import Tokens


class PromptScores:
    """Tells a prompt's tokens once each, in order, as they are scored."""

    def __init__(self, prompt: Tokens, vocabulary: Vocabulary, *, scored: bool) -> None:
        """``scored``: whether they are told with log probabilities, or all at once without."""
        self._prompt = prompt
        self._vocabulary = vocabulary
        self._told = 0
        self.scored = scored

    def all_told(self) -> PromptTokens:
        """All tokens, without log probabilities."""
        self._told = len(self._prompt)
        return PromptTokens(tokens=tuple(self._token(token) for token in self._prompt))

    def told(self, start: int, scores: list[ChosenToken]) -> PromptTokens | None:
        """The tokens behind position ``start``, of which these are the scores.

        None where all of them were told already, before the sequence lost its place.
        """
        tokens = [self._token(self._prompt[0])] if self._told == 0 else []
        new = scores[max(0, self._told - start - 1) :]
        tokens += [self._token(score.token, score) for score in new]
        self._told += len(tokens)
        return PromptTokens(tokens=tuple(tokens)) if tokens else None

    def _token(self, token: int, score: ChosenToken | None = None) -> PromptToken:
        data = self._vocabulary.bytes_of(token)
        top = score.top if score is not None else ()
        return PromptToken(
            text=data.decode(errors="replace"),
            bytes=tuple(data),
            logprob=score.logprob if score is not None else None,
            top=tuple(self._top(*each) for each in top),
        )

    def _top(self, token: int, logprob: float) -> TopToken:
        data = self._vocabulary.bytes_of(token)
        return TopToken(text=data.decode(errors="replace"), bytes=tuple(data), logprob=logprob)
