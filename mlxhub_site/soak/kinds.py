"""The kinds of visitors that a soak sends. Each visit leaves the hub as it found it."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx2

from apps.inference.client import EngineError
from apps.inference.engine.protocol import Ok, UnloadModel
from mlxhub_site.soak.hub import SoakedHub

MODEL = "smollm2-135m-instruct"
ANSWER_TOKENS = 24
PAGES = (
    "/playground/", "/compare/", "/models/", "/downloads/", "/data/", "/training/", "/benchmarks/",
    "/usage/", "/keys/", "/system/", "/system/logs/", "/v1/models", "/api/models", "/metrics",
)  # fmt: skip
TRAINING_SECONDS = 600.0

UNLOAD_PATIENCE = 30.0
UNLOAD_INTERVAL = 0.02
"""Seconds between two tries, so that a short rest of the model is met."""


_WORDS = (
    "harbour",
    "lantern",
    "orchard",
    "gravel",
    "meadow",
    "copper",
    "violin",
    "glacier",
    "pepper",
    "saddle",
    "timber",
    "anchor",
    "velvet",
    "canyon",
    "marble",
    "thunder",
    "willow",
    "basket",
    "ribbon",
    "feather",
)
_REFUSALS = frozenset({429, 503})
_SYSTEM = "You are the keeper of a small lighthouse. " + "Answer briefly and in plain words. " * 20


_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_CHOSEN = re.compile(r'<option value="(\d+)" selected')
_EVENTS = re.compile(r'"(/playground/m/\d+/events/)')


class Refused(Exception):
    """The hub said that it can't do this now, and in the way that it should."""


class Failed(AssertionError):
    """The hub said that it could not do this, which was no refusal."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        """Of the answer; 200 where it came in the middle of one."""


@dataclass(frozen=True)
class Visitor:
    """What a kind of visitor has at hand."""

    hub: SoakedHub
    http: httpx2.Client
    draw: random.Random
    turns: count[int] = field(default_factory=count)


Visit = Callable[[Visitor], float | None]
"""One visit; seconds to the first word, where there is one. Raises Refused, httpx2.HTTPError."""


@dataclass(frozen=True)
class Kind:
    name: str
    visit: Visit
    pause: float
    """Seconds between the end of a visit and the next one."""


def chat(visitor: Visitor) -> float | None:
    """A short question behind a system prompt that all have in common."""
    return _answered(visitor, f"What is a {visitor.draw.choice(_WORDS)}?")


def churn(visitor: Visitor) -> float | None:
    """A long prompt that nobody had before: it pushes others out of the prompt cache."""
    return _answered(visitor, " ".join(visitor.draw.choices(_WORDS, k=300)))


def leave(visitor: Visitor) -> float | None:
    """A long answer that is left after its first words."""
    with _stream(visitor, "Tell me all about the sea.", max_tokens=400) as response:
        for _ in zip(range(8), _events(response), strict=False):
            continue
    return None


def whole(visitor: Visitor) -> float | None:
    """An answer in one piece, that has to be JSON of a given shape."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"day": {"type": "string", "maxLength": 12}},
    }
    schema |= {"required": ["day"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "day", "schema": schema}}
    body = _body("Name a day of the week.", ANSWER_TOKENS * 2) | {"response_format": form}
    answer = _checked(visitor.http.post("/v1/chat/completions", json=body)).json()["choices"][0]
    if answer["finish_reason"] == "stop":
        assert "day" in json.loads(answer["message"]["content"]), answer
    return None


def pages(visitor: Visitor) -> float | None:
    """Every page of the menu, one after another."""
    _checked(visitor.http.get(PAGES[next(visitor.turns) % len(PAGES)]))
    return None


def conversation(visitor: Visitor) -> float | None:
    """A chat on the page: asked, followed to its end, and deleted."""
    http = visitor.http
    home = _checked(http.get("/playground/")).text
    form = {"csrfmiddlewaretoken": _found(_TOKEN, home), "content": "Say one word."}
    form |= {"model": _found(_CHOSEN, home), "max_tokens": str(ANSWER_TOKENS)}
    form |= {"temperature": "0.3", "top_p": "0.9", "repetition_penalty": "1.0"}
    page = _checked(http.post("/playground/start/", data=form))
    with http.stream("GET", _found(_EVENTS, page.text)) as stream:
        for _ in stream.iter_lines():
            continue
    _checked(http.post(f"{page.url.path}delete/", data=form))
    return None


def unload(visitor: Visitor) -> float | None:
    """The model is put out of memory; the next question brings it back."""
    deadline = time.monotonic() + UNLOAD_PATIENCE
    while True:
        try:
            for model in visitor.hub.engine.status().models:
                visitor.hub.engine.call(UnloadModel(digest=model.digest), Ok)
            return None
        except EngineError as error:
            # It answers somebody just now, as it mostly does.
            if time.monotonic() > deadline:
                raise Refused(error.message) from error
            time.sleep(UNLOAD_INTERVAL)


def train(visitor: Visitor) -> float | None:
    """A training of a few steps, and nothing left of it."""
    data = visitor.hub.home / "soak-data"
    if not data.exists():
        data.mkdir()
        rows = [{"prompt": f"A {word}?", "completion": f"The {word}."} for word in _WORDS]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        for name in ("train.jsonl", "valid.jsonl"):
            (data / name).write_text(text)
    name = f"Soak {next(visitor.turns)}"
    settings: dict[str, Any] = {"iters": 4, "batch_size": 1, "num_layers": 2, "max_seq_length": 64}
    settings |= {"val_batches": 1, "lora": {"rank": 2}}
    order = {"model": MODEL, "data": str(data), "name": name, "settings": settings}
    job = _checked(visitor.http.post("/api/training/jobs", json=order)).json()
    path = f"/api/training/jobs/{job['id']}"
    deadline = time.monotonic() + TRAINING_SECONDS
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, f"the training does not end: {job}"
        time.sleep(1.0)
        job = _checked(visitor.http.get(path)).json()
    made = job["made"].partition(":")[2]
    _checked(visitor.http.delete(path))
    if made:
        _checked(visitor.http.delete(f"/api/models/{MODEL}/adapters/{made}"))
    if job["state"] == "failed" and job["fault"] == "no_memory":
        raise Refused(job["error"])
    assert job["state"] == "done", job["error"]
    return None


KINDS = (
    Kind("chat", chat, 0.5),
    Kind("long prompts", churn, 4.0),
    Kind("early leavers", leave, 2.0),
    Kind("JSON answers", whole, 3.0),
    Kind("pages", pages, 0.5),
    Kind("conversations", conversation, 5.0),
    Kind("unloads", unload, 60.0),
    Kind("trainings", train, 120.0),
)


def _body(question: str, max_tokens: int) -> dict[str, Any]:
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": question}]
    return {"model": MODEL, "messages": messages, "max_tokens": max_tokens}


def _stream(visitor: Visitor, question: str, max_tokens: int) -> Any:
    body = _body(question, max_tokens) | {"stream": True}
    return visitor.http.stream("POST", "/v1/chat/completions", json=body)


def _answered(visitor: Visitor, question: str) -> float | None:
    """Read an answer to its end."""
    begun, first, last = time.monotonic(), None, ""
    with _stream(visitor, question, ANSWER_TOKENS) as response:
        for line in _events(response):
            first, last = first or time.monotonic() - begun, line
    assert last == "data: [DONE]", f"it ended with {last!r}"
    return first


def _events(response: httpx2.Response) -> Iterator[str]:
    """The lines with data. Raises as ``_checked``, and Failed where one of them is an error."""
    for line in _checked(response).iter_lines():
        if line.startswith("data: "):
            if '"error"' in line[:20]:
                raise Failed(line, response.status_code)
            yield line


def _checked(response: httpx2.Response) -> httpx2.Response:
    """Raises Refused, or AssertionError where the answer is neither a success nor a refusal."""
    if response.status_code in _REFUSALS:
        assert "retry-after" in response.headers, "a refusal says when to come back"
        raise Refused
    if not response.is_success and not response.is_redirect:
        response.read()
        told = f"{response.url.path}: {response.status_code} {response.text[:300]}"
        raise Failed(told, response.status_code)
    return response


def _found(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    assert found, f"the page has no {pattern.pattern}"
    return found[1]
