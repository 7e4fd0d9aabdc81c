"""An engine stepped by the test itself, on the test's own thread: no waiting, no races."""

from __future__ import annotations

from pathlib import Path

from apps.inference.engine import protocol
from apps.inference.engine.config import EngineConfig, PromptCacheConfig
from apps.inference.engine.core import Engine
from apps.inference.engine.sequence import Call


class Asked:
    """A call and the events it got."""

    def __init__(self) -> None:
        self.events: list[protocol.Event] = []
        self.call = Call(self.events.append)

    @property
    def text(self) -> str:
        """The whole answer; there must be one."""
        assert isinstance(self.last, protocol.Done), self.last
        return "".join(e.text for e in self.events if isinstance(e, protocol.Delta))

    @property
    def last(self) -> protocol.Event:
        return self.events[-1]

    @property
    def finished(self) -> bool:
        return bool(self.events) and isinstance(self.last, protocol.LAST_EVENTS)


class SteppedEngine:
    def __init__(self, profile, directory: Path, **options) -> None:
        cache = options.pop("prompt_cache", {})
        self.engine = Engine(
            EngineConfig(
                socket=directory / "engine.sock",
                prompt_cache=PromptCacheConfig(
                    directory=directory / "cache", min_free_disk_bytes=0, **cache
                ),
                **options,
            ),
            profile,
        )

    def ask(self, request: protocol.Request) -> Asked:
        """Its model is loaded when this returns, however many turns that takes."""
        asked = self.submit(request)
        while self.engine._intake.loads:
            self.engine.turn(wait=False)
        return asked

    def submit(self, request: protocol.Request) -> Asked:
        """One turn, which may not be enough to load its model."""
        asked = Asked()
        self.engine.submit(request, asked.call)
        self.engine.turn(wait=False)
        return asked

    def finish(self, *all_asked: Asked, turns: int = 2000) -> None:
        for _ in range(turns):
            if all(asked.finished for asked in all_asked):
                return
            self.engine.turn(wait=False)
        raise AssertionError("the engine did not finish")

    def answer(self, request: protocol.Request) -> Asked:
        asked = self.ask(request)
        self.finish(asked)
        return asked


def chat(model, *contents: str, system: str | None = None, **sampling) -> protocol.Generate:
    """User and assistant turns in alternation; greedy unless said otherwise."""
    messages = [protocol.Message(role="system", content=system)] if system else []
    for i, content in enumerate(contents):
        messages.append(protocol.Message(role="assistant" if i % 2 else "user", content=content))
    settings = {"temperature": 0.0, "max_tokens": 12, **sampling}
    return protocol.Generate(
        model=model, messages=tuple(messages), sampling=protocol.Sampling(**settings)
    )
