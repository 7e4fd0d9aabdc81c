"""Log probabilities in the four lists of OpenAI's text completions."""

from __future__ import annotations

import codecs

from apps.inference.api.chat_answer import LEAST_LOGPROB
from apps.inference.api.schemas.completion import CompletionLogprobs
from apps.inference.engine.protocol import PromptToken, TokenLogprob, TopToken


class LogprobLists:
    """Grows with one choice's text, whose characters its offsets count."""

    def __init__(self, offset: int = 0) -> None:
        """``offset``: where the first token begins; below 0 where the text lacks its start."""
        self._length = offset
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def take(self, tokens: tuple[TokenLogprob | PromptToken, ...]) -> CompletionLogprobs:
        """The lists of the next tokens."""
        lists = CompletionLogprobs()
        for token in tokens:
            lists.tokens.append(_spelled(token))
            lists.token_logprobs.append(_number(token.logprob))
            lists.top_logprobs.append(_likeliest(token))
            lists.text_offset.append(max(0, self._length))
            self._length += len(self._decoder.decode(bytes(token.bytes)))
        return lists


def _spelled(token: TopToken | PromptToken) -> str:
    """Half a character as OpenAI writes it, so that no two tokens look the same."""
    try:
        return bytes(token.bytes).decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.bytes)


def _likeliest(token: TokenLogprob | PromptToken) -> dict[str, float] | None:
    if token.logprob is None:
        return None
    found = {_spelled(top): max(top.logprob, LEAST_LOGPROB) for top in token.top}
    return found | {_spelled(token): max(token.logprob, LEAST_LOGPROB)}


def _number(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, LEAST_LOGPROB)
