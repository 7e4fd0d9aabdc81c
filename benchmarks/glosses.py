"""From text to a served adapter: the starter model learns to write dictionary entries.

The text is WordNet's, as Debian's package ``wordnet-base`` carries it: nouns and their glosses.
The model is asked for words that it was not trained on; an entry has to have exactly the
dictionary's form. Everything goes through the hub's own API, as a person's would.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.client import ChatServer
from benchmarks.figures import Figure
from benchmarks.hub import benchmark_hub
from benchmarks.rest import HubApi
from tests.hub_process import STARTER, HubProcess

NOUNS = Path("/usr/share/wordnet/data.noun")
"""https://wordnet.princeton.edu/documentation/wndb5wn"""
ROWS = 1200
HELD_OUT = 96
AT_ONCE = 8
ENTRY_TOKENS = 40
LONGEST = 45
"""Characters of a gloss."""
TIME_LIMIT = 900.0

SETTINGS = {
    "iters": 150,
    "batch_size": 8,
    "num_layers": 16,
    "learning_rate": 5e-4,
    "schedule": {"kind": "cosine", "warmup": 10, "final": 0.02},
    "mask_prompt": True,
    "max_seq_length": 128,
    "steps_per_eval": 50,
    "val_batches": 8,
}

_LINE = re.compile(r"^\d{8} (\d\d) n 01 ([a-z]{3,12}) 0 .*\| ([^;\"]+)")
_FIELDS = (
    *("act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event"),
    *("feeling", "food", "group", "location", "motive", "object", "person", "phenomenon", "plant"),
    *("possession", "process", "quantity", "relation", "shape", "state", "substance", "time"),
)
"""What the files of nouns are named after, from number 4 on: lexnames(5WN)."""
_FIRST_FIELD = 4


def gloss_figures() -> Iterator[Figure]:
    """One fine-tuning, from the file to the adapter's answers."""
    entries = _entries()
    asked = [word for word, _ in entries[:HELD_OUT]]
    with benchmark_hub() as (base, hub):
        api = HubApi(hub)
        adapted = ChatServer(hub.port, f"{STARTER}:glosses")
        share = len(_exact(base, asked)) / HELD_OUT
        yield Figure("exact entries, base", share, 1.0, "", at_most=0.05)
        _import(api, hub, entries[HELD_OUT:])
        begun = time.perf_counter()
        order = {"model": STARTER, "data": "glosses", "name": "Glosses", "settings": SETTINGS}
        job = f"/api/training/jobs/{api.post('/api/training/jobs', order)['id']}"
        api.done(job, seconds=3 * TIME_LIMIT)
        ended = time.perf_counter()
        first = adapted.ask(_question(asked[0]), max_tokens=ENTRY_TOKENS)
        answered = first.token_times[-1] - ended
        assert _is_entry(asked[0], first.text), first.text
        yield Figure("the job, of its time", ended - begun, TIME_LIMIT, "s", at_most=1.0)
        yield Figure("the adapter's first entry after it", answered, 1.0, "s", at_most=1.0)
        losses = api.get(f"{job}/metrics")["curves"]["validation_loss"]["high"]
        yield Figure("validation loss, end / start", losses[-1], losses[0], "nats", at_most=0.5)
        exact = _exact(adapted, asked)
        yield Figure("exact entries, adapter", len(exact) / HELD_OUT, 1.0, "", at_least=0.95)
        yield _one_batch(hub, base, adapted.model, exact[:AT_ONCE])


def _entries() -> list[tuple[str, str]]:
    """Nouns of one word and the entry of their first sense, in a random order."""
    assert NOUNS.is_file(), "install Debian's wordnet-base"
    found = map(_LINE.match, NOUNS.read_text(encoding="utf-8").splitlines())
    entries = {
        match[2]: _entry(match[2], int(match[1]), match[3].strip())
        for match in found
        if match and int(match[1]) >= _FIRST_FIELD and len(match[3]) < LONGEST
    }
    return random.Random(0).sample(sorted(entries.items()), HELD_OUT + ROWS)


def _entry(word: str, file: int, gloss: str) -> str:
    return f"**{word}** ({_FIELDS[file - _FIRST_FIELD]}): {gloss.rstrip('.')}."


def _import(api: HubApi, hub: HubProcess, entries: list[tuple[str, str]]) -> None:
    """As a dataset, a twentieth of it for validation."""
    file = hub.home / "glosses.jsonl"
    rows = ({"prompt": word, "completion": entry} for word, entry in entries)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = {"kind": "split", "valid": 0.05}
    for path, body in (("", {"path": str(file)}), ("/glosses/changes", split)):
        job = api.post(f"/api/datasets{path}", body)
        api.done(f"/api/datasets/{job['dataset']}/jobs/{job['id']}", seconds=60)


def _question(word: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": word}]


def _is_entry(word: str, text: str) -> bool:
    form = rf"\*\*{word}\*\* \(({'|'.join(_FIELDS)})\): [^\n]*[^\s.]\."
    return re.fullmatch(form, text) is not None


def _exact(server: ChatServer, words: list[str]) -> list[str]:
    """The words whose answers are entries."""
    exact: list[str] = []
    for first in range(0, len(words), AT_ONCE):
        group = words[first : first + AT_ONCE]
        answers = server.ask_together([_question(word) for word in group], max_tokens=ENTRY_TOKENS)
        exact += [
            word
            for word, answer in zip(group, answers, strict=True)
            if _is_entry(word, answer.text)
        ]
    return exact


def _one_batch(hub: HubProcess, base: ChatServer, adapted: str, words: list[str]) -> Figure:
    """Base and adapter asked together: how many of the answers are in the batch at one time."""
    most = 0
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.is_set():
            most = max(most, hub.engine.status().active)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        answers = base.ask_mixed(
            [_question(word) for word in words],
            [{"model": adapted} if i % 2 else {} for i in range(len(words))],
            max_tokens=ENTRY_TOKENS,
        )
    finally:
        over.set()
        watching.join()
    for i, (word, answer) in enumerate(zip(words, answers, strict=True)):
        assert _is_entry(word, answer.text) == bool(i % 2), answer.text
    name = "answers in one batch, half of base, half of adapter"
    return Figure(name, most, len(words), "", at_least=1.0)
