"""The conversations that are measured. A salt makes a round's prompts new to every cache.

The salt comes first: what follows it shares no beginning with another round's
prompt, so a cache of prefixes has nothing to offer.
"""

from __future__ import annotations

Chat = list[dict[str, str]]

SYSTEM_TOKENS = 2000
"""Length of the system prompt, unless the model's context is shorter."""

TOKENS_PER_RULE = 18.0
"""By the starter model's tokenizer; others are asked (``measure.measure``)."""

_RULE = "Rule {n}: a station reports wind, rain and light to the harbour office. "


def rules(salt: str | int, count: int) -> str:
    """A system prompt of ``count`` rules."""
    return f"List {salt}. " + "".join(_RULE.format(n=n) for n in range(count))


def long_system_prompt(
    salt: str | int, *, tokens: int = SYSTEM_TOKENS, tokens_per_rule: float = TOKENS_PER_RULE
) -> str:
    """A system prompt of about ``tokens`` tokens."""
    return rules(salt, max(1, round(tokens / tokens_per_rule)))


def with_system(system: str, question: str) -> Chat:
    """A conversation's first question."""
    return [{"role": "system", "content": system}, {"role": "user", "content": question}]


def next_turn(chat: Chat, answer: str, question: str) -> Chat:
    """The conversation with its answer, and the question after that."""
    turn = [{"role": "assistant", "content": answer}, {"role": "user", "content": question}]
    return [*chat, *turn]


def story(salt: str | int, client: int) -> Chat:
    """A question whose answer is long; each client has its own."""
    text = f"Ship {client} of list {salt}: tell me a long story about this ship and its crew."
    return [{"role": "user", "content": text}]
