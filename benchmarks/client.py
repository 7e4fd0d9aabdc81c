"""An OpenAI-compatible server as a benchmark sees it: questions in, times out."""

from __future__ import annotations

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

ANSWER_SECONDS = 600.0

Chat = list[dict[str, str]]


@dataclass
class Answer:
    """Times are seconds on the clock of ``time.perf_counter``."""

    asked_at: float
    token_times: list[float] = field(default_factory=list)
    text: str = ""
    cached_tokens: int = 0

    @property
    def time_to_first_token(self) -> float:
        return self.token_times[0] - self.asked_at


@dataclass(frozen=True)
class ChatServer:
    port: int
    model: str

    def ask(self, messages: Chat, *, max_tokens: int) -> Answer:
        """One streamed greedy answer over HTTP."""
        body = {
            "model": self.model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        answer = Answer(time.perf_counter())
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise RuntimeError(f"the server answered {response.status}: {response.read()[:500]!r}")
        for line in response:
            _take(answer, line)
        connection.close()
        return answer

    def ask_together(self, chats: list[Chat], *, max_tokens: int) -> list[Answer]:
        """All at the same time, each from a client of its own."""
        with ThreadPoolExecutor(len(chats)) as pool:
            return list(pool.map(lambda chat: self.ask(chat, max_tokens=max_tokens), chats))


def _take(answer: Answer, line: bytes) -> None:
    if not line.startswith(b"data: {"):
        return
    chunk = json.loads(line.removeprefix(b"data: "))
    if "error" in chunk:
        raise RuntimeError(str(chunk["error"]))
    if chunk["choices"] and (text := chunk["choices"][0]["delta"].get("content")):
        answer.token_times.append(time.perf_counter())
        answer.text += text
    if usage := chunk.get("usage"):
        answer.cached_tokens = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
