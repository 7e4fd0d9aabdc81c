"""What the engine is asked: a branch of a conversation as one request."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from apps.inference.defaults import completed
from apps.inference.engine import protocol
from apps.inference.services import NamedModel
from apps.models.models import LocalModel
from apps.playground.models import Conversation, Message
from apps.playground.thinking import split_thinking

CLIENT = "playground"
"""Name under which the engine's fair queue knows these calls."""


def request_for(
    conversation: Conversation, model: LocalModel, branch: Sequence[Message]
) -> protocol.Generate:
    """The call that answers ``branch``, or goes on with it where it ends in an answer."""
    named = NamedModel(model, conversation.adapter)
    return protocol.Generate(
        model=named.spec,
        adapter=named.adapter_spec,
        messages=spoken(conversation.system_prompt, branch),
        continue_final=branch[-1].is_answer,
        sampling=_sampling(conversation, model),
        client=CLIENT,
    )


def _sampling(conversation: Conversation, model: LocalModel) -> protocol.Sampling:
    """As the conversation says; what it has no field for, as the model's defaults are."""
    sampling = protocol.Sampling(
        temperature=conversation.temperature,
        top_p=conversation.top_p,
        repetition_penalty=conversation.repetition_penalty,
        max_tokens=conversation.max_tokens,
        seed=conversation.seed,
    )
    return completed(sampling, model, said=sampling.model_fields_set)


def spoken(system_prompt: str, branch: Sequence[Message]) -> tuple[protocol.Message, ...]:
    """The branch in strict alternation, which many chat templates insist on.

    An answer that never got a word out is left out, and the questions around it
    become one.
    """
    messages = []
    if system_prompt.strip():
        messages.append(protocol.Message(role="system", content=system_prompt))
    said = [message for message in branch if message.content]
    for role, turns in groupby(said, key=lambda message: message.role):
        messages.append(_message(role, "\n\n".join(turn.content for turn in turns)))
    return tuple(messages)


def _message(role: str, text: str) -> protocol.Message:
    """Thoughts go back apart from the answer: the model's template says what becomes of them."""
    thoughts, content = split_thinking(text) if role == Message.Role.ASSISTANT else ("", text)
    return protocol.Message.model_validate(
        {"role": role, "content": content, "reasoning": thoughts}
    )
