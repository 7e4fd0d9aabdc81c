"""What is asked in a run, in which order, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from apps.inference.benchmarks.measuring.figures import Figures
from apps.inference.benchmarks.measuring.measure import Progress, measure, steps
from apps.inference.benchmarks.measuring.plan import Plan
from apps.inference.benchmarks.measuring.tests.scripted import Script, ScriptedServer, plain

SMALL = Plan(rounds=2, clients=(1, 3), system_tokens=400, decode_tokens=8)


def tokens_of(body: dict[str, Any]) -> int:
    """As a tokenizer of words would count."""
    return sum(len(message["content"].split()) for message in body["messages"])


async def run(scripted: ScriptedServer, plan: Plan, salt: str = "s") -> tuple[Figures, list]:
    told: list[Progress] = []
    async with scripted.client() as server:
        return await measure(server, plan, salt=salt, on_progress=told.append), told


@pytest.fixture
def scripted() -> ScriptedServer:
    return ScriptedServer(lambda body: plain(tokens_of(body)))


async def test_every_turn_and_number_of_clients_has_a_sample_for_each_round(
    scripted: ScriptedServer,
) -> None:
    figures, _ = await run(scripted, SMALL)

    assert [each.turn for each in figures.first_token] == ["cold", "warm", "repeat", "next_turn"]
    assert all(len(each.seconds.samples) == 2 for each in figures.first_token)
    assert [each.clients for each in figures.throughput] == [1, 3]
    assert all(len(each.gap_p95.samples) == 2 for each in figures.throughput)


async def test_a_round_asks_a_new_prompt_then_its_system_prompt_again(
    scripted: ScriptedServer,
) -> None:
    await run(scripted, SMALL)

    cold, warm, repeat, following = scripted.bodies[2:6]
    system = cold["messages"][0]
    assert warm["messages"][0] == system
    assert warm["messages"][1] != cold["messages"][1]
    assert repeat == warm
    assert following["messages"][:2] == cold["messages"]
    assert following["messages"][2] == {"role": "assistant", "content": "Hello you"}


async def test_no_two_prompts_begin_alike_that_are_to_be_cold(scripted: ScriptedServer) -> None:
    await run(scripted, SMALL, salt="a")
    await run(scripted, SMALL, salt="b")

    bodies = scripted.bodies
    half = len(bodies) // 2
    cold = [bodies[at] for at in (2, 6, half + 2, half + 6)]
    stories = bodies[10:half] + bodies[half + 10 :]
    systems = [body["messages"][0]["content"] for body in cold]
    assert len({text.partition(" Rule 0")[0] for text in systems}) == 4
    questions = [body["messages"][0]["content"] for body in stories]
    assert len(set(questions)) == len(questions) == 2 * 2 * (1 + 3)


async def test_the_system_prompt_has_the_length_that_was_asked_for(
    scripted: ScriptedServer,
) -> None:
    figures, _ = await run(scripted, SMALL)

    cold = figures.turn("cold")
    assert cold is not None
    assert cold.prompt_tokens == pytest.approx(400, rel=0.05)


async def test_the_system_prompt_leaves_room_in_a_short_context(scripted: ScriptedServer) -> None:
    scripted.context_length = 200
    figures, _ = await run(scripted, SMALL)

    cold = figures.turn("cold")
    assert cold is not None
    assert cold.prompt_tokens is not None
    assert cold.prompt_tokens < 170


async def test_a_server_that_counts_no_tokens_gets_a_prompt_of_a_likely_length() -> None:
    scripted = ScriptedServer(lambda body: Script())
    figures, _ = await run(scripted, SMALL)

    assert figures.first_token[0].prompt_tokens is None
    assert scripted.bodies[2]["messages"][0]["content"].count("Rule") == 22


async def test_progress_counts_every_step_once_and_ends_at_the_total(
    scripted: ScriptedServer,
) -> None:
    _, told = await run(scripted, SMALL)

    total = steps(SMALL)
    assert [each.done for each in told] == list(range(total + 1))
    assert {each.total for each in told} == {total}
    assert told[0].doing == "Loading the model"
    assert told[1].doing == "New prompt, round 1 of 2"
    assert told[-2].doing == "3 clients, round 2 of 2"
