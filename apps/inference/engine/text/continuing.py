"""An answer that goes on from its middle: its beginning, as its model would have written it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from apps.inference.engine.protocol import Message
from apps.inference.engine.text.reasoning import Beginning, ReasoningMarks
from apps.inference.engine.text.tools.harmony import CHANNEL, END, MESSAGE, START

Within = Literal["thought", "content"]
"""What of an answer is cut in its middle."""


@dataclass(frozen=True)
class Begun:
    text: str
    """What follows the rendered conversation, whose last turn it is."""
    within: Within


def begun(answer: Message, marks: ReasoningMarks | None, beginning: Beginning) -> Begun:
    """The text of an answer so far, behind a prompt after which answers begin like this.

    Where the prompt says that there are no thoughts, those of ``answer`` are left out.
    """
    if marks is None or beginning == "none":
        return Begun(answer.content, "content")
    start = "" if beginning == "open" else f"{marks.start}\n"
    if not answer.content and answer.reasoning:
        return Begun(f"{start}{answer.reasoning}", "thought")
    if not answer.reasoning and beginning == "possible":
        return Begun(answer.content, "content")
    return Begun(f"{start}{answer.reasoning}\n{marks.end}\n\n{answer.content}", "content")


def begun_in_channels(answer: Message) -> Begun:
    """The same for a model that answers in gpt-oss' channels."""
    thoughts = f"{CHANNEL}analysis{MESSAGE}{answer.reasoning}" if answer.reasoning else ""
    if thoughts and not answer.content:
        return Begun(thoughts, "thought")
    between = f"{END}{START}assistant" if thoughts else ""
    return Begun(f"{thoughts}{between}{CHANNEL}final{MESSAGE}{answer.content}", "content")
