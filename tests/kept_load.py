"""Mixed load for a hub whose processes are killed, and what the hub acknowledged to it.

Visitors of `mlx-hub soak` call the hub, and some whose writes are kept. A call may fail while a
process is down, but not without a word: it is refused, told of a failure, or cut off.
"""

from __future__ import annotations

import random
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import httpx2

from mlxhub_site.soak.hub import SoakedHub
from mlxhub_site.soak.kinds import KINDS, Failed, Refused, Visitor
from tests.hub_process import STARTER, HubProcess
from tests.killed_training import SETTINGS
from tests.killed_verdict import Ledger, rows_of

PATIENCE = 120.0
"""Seconds without a word after which a request was given no answer."""

STEPS = 150

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
_CHOSEN = re.compile(r'<option value="(\d+)" selected')


class KeptLoad:
    """Visitors, each in a thread, and how their visits ended."""

    def __init__(self, hub: HubProcess, ledger: Ledger) -> None:
        self._hub = hub
        self._ledger = ledger
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.endings: Counter[str] = Counter()
        """Visits by how they ended."""
        self.problems: list[str] = []
        """What should not have been answered so, or was not answered."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Visitors until the block is left, and those on their way arrive."""
        visits: dict[str, tuple[float, Callable[[Visitor], object]]] = {
            kind.name: (kind.pause, kind.visit)
            for kind in KINDS
            if kind.name not in ("conversations", "trainings")
        }
        visits["kept conversations"] = (2.0, self._keep_conversation)
        visits["kept responses"] = (2.0, self._keep_response)
        visits["kept trainings"] = (5.0, self._keep_training)
        threads = [
            threading.Thread(target=self._visit_on, args=(name, *visit), name=name)
            for name, visit in visits.items()
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _visit_on(self, name: str, pause: float, visit: Callable[[Visitor], object]) -> None:
        draw = random.Random(name)
        with self.client() as http:
            visitor = Visitor(SoakedHub(self._hub.home, self._hub.port, self._hub.pid), http, draw)
            while not self._over.wait(pause * draw.uniform(0.5, 1.5)):
                ending, problem = _ending(partial(visit, visitor))
                with self._lock:
                    self.endings[ending] += 1
                    self.problems += [f"{name}: {problem}"] if problem else []

    def _keep_conversation(self, visitor: Visitor) -> None:
        """A question on the page."""
        http, question = visitor.http, f"Say one word. {uuid.uuid4()}"
        home = _whole(http.get("/playground/")).text
        form = {"csrfmiddlewaretoken": _found(_TOKEN, home), "content": question}
        form |= {"model": _found(_CHOSEN, home), "max_tokens": "24"}
        form |= {"temperature": "0.3", "top_p": "0.9", "repetition_penalty": "1.0"}
        self._ledger.asked.add(question)
        answer = http.post("/playground/start/", data=form)
        if answer.status_code == 302:
            self._ledger.conversations.add(question)
        else:
            _whole(answer)

    def _keep_response(self, visitor: Visitor) -> None:
        """An answer that the hub is to keep."""
        body = {"model": STARTER, "input": "Say one word.", "max_output_tokens": 8}
        self._ledger.responses.add(
            _whole(visitor.http.post("/v1/responses", json=body)).json()["id"]
        )

    def _keep_training(self, visitor: Visitor) -> None:
        """A training that is resumed wherever it was interrupted, and so gets to its end."""
        key = self.order(visitor.http, f"Killed {len(self._ledger.ordered)}")
        while self.state(key) != "done" and not self._over.wait(0.5):
            self.resume_interrupted(visitor.http)

    def resume_interrupted(self, http: httpx2.Client) -> None:
        """Have trainings go on that wait for somebody to say so. Raises as a visit does."""
        rows = rows_of(
            self._hub.home, "select id from training_trainingjob where state = 'interrupted'"
        )
        for (key,) in rows:
            # 409: it goes on already.
            _whole(http.post(f"/api/training/jobs/{key}/resume"), 409)

    def order(self, http: httpx2.Client, name: str) -> int:
        """Have the tiny model trained; the job's id. Raises as a visit does."""
        order = {"model": "tiny", "data": str(self._hub.home / "numbers"), "name": name}
        settings = {"settings": SETTINGS | {"iters": STEPS}}
        self._ledger.ordered.add(name)
        answer = _whole(http.post("/api/training/jobs", json=order | settings))
        key = int(answer.json()["id"])
        self._ledger.trainings[key] = name
        return key

    def state(self, job: int) -> str:
        """Of a training."""
        query = "select state from training_trainingjob where id = ?"
        return str(rows_of(self._hub.home, query, job)[0][0])

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self._hub.url, timeout=PATIENCE, trust_env=False)


def _ending(visit: Callable[[], object]) -> tuple[str, str]:
    """How a visit ended, and what was wrong with that, if anything."""
    try:
        visit()
    except Refused:
        return "refused", ""
    except Failed as failure:
        return "told of a failure", str(failure) if failure.status == 500 else ""
    except httpx2.TimeoutException:
        return "without an answer", f"no word in {PATIENCE:g} s"
    except httpx2.TransportError:
        return "cut off", ""
    except (AssertionError, ValueError) as error:
        return "broken", str(error)
    return "done", ""


def _whole(response: httpx2.Response, *also: int) -> httpx2.Response:
    """Raises Refused or Failed."""
    if response.status_code in (429, 503):
        raise Refused
    if not response.is_success and response.status_code not in also:
        told = f"{response.url.path}: {response.status_code} {response.text[:300]}"
        raise Failed(told, response.status_code)
    return response


def _found(pattern: re.Pattern[str], page: str) -> str:
    found = pattern.search(page)
    assert found, f"the page has no {pattern.pattern}"
    return found[1]
