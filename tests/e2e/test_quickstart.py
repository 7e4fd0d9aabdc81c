"""What the README promises a newcomer, word for word."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.hub_process import PATIENCE, STARTER, running_hub, until

README = Path(__file__).resolve().parents[2] / "README.md"
SYSTEM = "You are a geography teacher. Answer in one short sentence."


def readme_curls() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    curls = [block for block in blocks if block.startswith("curl")]
    return [f"curl{command}" for block in curls for command in block.split("curl")[1:]]


def ask(hub, question, system=SYSTEM, **options):
    body = {
        "model": STARTER,
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": question},
        ],
        "max_tokens": 24,
        "temperature": 0,
        **options,
    }
    response = httpx.post(f"{hub.url}/v1/chat/completions", json=body, timeout=120)
    response.raise_for_status()
    return response.json()


def stats(hub):
    return httpx.get(f"{hub.url}/admin/cache/prompts/stats", timeout=PATIENCE).json()


def cached(answer):
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def test_the_curl_commands_of_the_readme_answer(hub):
    commands = readme_curls()
    assert len(commands) == 3
    answers = []
    for command in commands:
        command = command.replace("http://127.0.0.1:8080", hub.url)
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=120, check=True
        )
        answers.append(json.loads(done.stdout))
    chat, cache_stats, entries = answers
    assert "Paris" in chat["choices"][0]["message"]["content"]
    assert cache_stats["memory_entries"] > 0
    assert "geography teacher" in json.dumps(entries)


def test_a_second_chat_with_the_same_system_prompt_is_a_hit(hub):
    system = "You are a botanist. You answer in one short sentence and never use Latin."
    ask(hub, "What is a rose?", system)
    before = stats(hub)["total_hits"]
    assert cached(ask(hub, "What is an oak?", system)) > 8
    assert stats(hub)["total_hits"] == before + 1


def test_the_first_start_brings_a_model_and_the_first_chat_after_a_sigkill_is_warm():
    with running_hub(prepared=False) as hub:
        ask(hub, "What is the capital of France?")
        until(lambda: stats(hub)["disk_entries"] >= 2)
        hub.kill()
        hub.start()
        assert cached(ask(hub, "What is the capital of Italy?")) > 8
        assert stats(hub)["total_hits"] == 1


def test_a_warmed_system_prompt_makes_the_first_chat_a_hit(hub):
    system = "You are a harbour master who speaks plainly and knows every ship by its name."
    warmed = httpx.post(
        f"{hub.url}/admin/cache/prompts/warmup",
        json={"model": STARTER, "system_prompt": system},
        timeout=120,
    ).json()
    assert cached(ask(hub, "Who are you?", system)) == warmed["tokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_frees_the_engine(hub, stream):
    body = {
        "model": STARTER,
        "messages": [{"role": "user", "content": "Write a very long story about a lighthouse."}],
        "max_tokens": 2000,
        "temperature": 0,
        "stream": stream,
    }
    url = f"{hub.url}/v1/chat/completions"
    if stream:
        with httpx.stream("POST", url, json=body, timeout=120) as response:
            next(response.iter_lines())
    else:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=body, timeout=1)
    until(lambda: hub.engine_status().active == 0)


def test_health_tells_of_a_completed_step(hub):
    ask(hub, "Hello")
    health = httpx.get(f"{hub.url}/admin/health", timeout=PATIENCE)
    assert health.status_code == 200
    # Of the whole hub's state its disk, memory and network have a say too.
    engine = health.json()["components"]["engine"]
    assert engine["status"] == "ok"
    assert engine["state"]["steps"] > 0
