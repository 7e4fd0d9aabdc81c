"""One question to a server, and what may come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from apps.inference.benchmarks.measuring.client import ChatServer
from apps.inference.benchmarks.measuring.errors import (
    MeasuringError,
    NotStreaming,
    ServerRefused,
    ServerSilent,
    ServerUnreachable,
)
from apps.inference.benchmarks.measuring.tests.scripted import Script, ScriptedServer, plain

CHAT = [{"role": "user", "content": "Hello"}]


async def ask(script: Script | httpx2.Response) -> object:
    async with ScriptedServer(lambda body: script).client() as server:
        return await server.ask(CHAT, max_tokens=4)


async def test_an_answers_pieces_are_timed() -> None:
    scripted = ScriptedServer(lambda body: plain(30, cached=20))
    async with scripted.client() as server:
        answer = await server.ask(CHAT, max_tokens=4)

    assert answer.time_to_first_token == pytest.approx(0.5)
    assert answer.token_times == pytest.approx([100.5, 100.6])
    assert answer.text == "Hello you"
    assert (answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens) == (30, 2, 20)


async def test_the_question_is_greedy_and_streamed() -> None:
    scripted = ScriptedServer(lambda body: Script())
    async with scripted.client() as server:
        await server.ask(CHAT, max_tokens=4)

    assert str(scripted.requests[0].url) == "http://server.test/v1/chat/completions"
    assert scripted.bodies[0] == {
        "model": "m",
        "messages": CHAT,
        "max_tokens": 4,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_a_key_goes_with_every_request_and_none_by_default() -> None:
    scripted = ScriptedServer(lambda body: Script())
    for key in ("secret", None):
        async with scripted.client(api_key=key) as server:
            await server.ask(CHAT, max_tokens=4)

    keys = [request.headers.get("authorization") for request in scripted.requests]
    assert keys == ["Bearer secret", None]


async def test_what_a_server_does_not_tell_is_not_known() -> None:
    async with ScriptedServer(lambda body: Script()).client() as server:
        answer = await server.ask(CHAT, max_tokens=4)

    assert answer.prompt_tokens is None
    assert answer.cached_tokens is None


async def test_a_thinking_models_thoughts_count_as_pieces() -> None:
    thought = b'data: {"choices": [{"delta": {"reasoning_content": "Hm"}}]}\n\ndata: [DONE]\n\n'
    headers = {"content-type": "text/event-stream"}
    async with ScriptedServer(
        lambda body: httpx2.Response(200, headers=headers, content=thought)
    ).client() as server:
        answer = await server.ask(CHAT, max_tokens=4)

    assert len(answer.token_times) == 1


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (httpx2.Response(401, json={"error": {"message": "No key."}}), ServerRefused, "No key."),
        (httpx2.Response(502, text="Bad gateway"), ServerRefused, "answered 502: Bad gateway"),
        (httpx2.Response(500, json={"error": "broken"}), ServerRefused, "broken"),
        (httpx2.Response(302, headers={"location": "http://else.test"}), ServerRefused, "302"),
        (httpx2.Response(200, json={"choices": []}), NotStreaming, "application/json"),
        (
            httpx2.Response(
                200, headers={"content-type": "text/event-stream"}, content=b"data: <html>\n\n"
            ),
            NotStreaming,
            "not JSON",
        ),
        (Script(error="Out of memory."), ServerRefused, "Out of memory."),
        (Script(pieces=[]), ServerRefused, "without any text"),
    ],
)
async def test_a_server_that_does_not_answer_as_asked_says_why(
    response: Script | httpx2.Response, error: type[MeasuringError], words: str
) -> None:
    with pytest.raises(error, match=words):
        await ask(response)


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    transport = httpx2.MockTransport(refuse)
    async with ChatServer("http://server.test", "m", transport=transport) as server:
        with pytest.raises(ServerUnreachable, match=r"Nothing answers at http://server\.test/v1"):
            await server.ask(CHAT, max_tokens=4)


async def test_a_server_that_breaks_off_is_unreachable() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b'data: {"choices": [{"delta": {"content": "He"}}]}\n\n'
        raise httpx2.ReadError("reset")

    headers = {"content-type": "text/event-stream"}
    scripted = ScriptedServer(lambda body: httpx2.Response(200, headers=headers, content=broken()))
    async with scripted.client() as server:
        with pytest.raises(ServerUnreachable, match="broke: reset"):
            await server.ask(CHAT, max_tokens=4)


async def test_a_server_that_says_nothing_is_silent() -> None:
    async def hang(request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    transport = httpx2.MockTransport(hang)
    async with ChatServer(
        "http://server.test", "m", transport=transport, answer_seconds=0.01
    ) as server:
        with pytest.raises(ServerSilent, match=r"within 0\.01 s"):
            await server.ask(CHAT, max_tokens=4)


async def test_one_failure_among_clients_at_once_is_told_as_it_is() -> None:
    def script(body: dict) -> Script:
        return Script(error="Full.") if "2" in body["messages"][0]["content"] else Script()

    chats = [[{"role": "user", "content": str(number)}] for number in range(4)]
    async with ScriptedServer(script).client() as server:
        with pytest.raises(ServerRefused, match=r"Full\."):
            await server.ask_together(chats, max_tokens=4)


async def test_the_context_is_what_the_list_of_models_says() -> None:
    scripted = ScriptedServer(lambda body: Script())
    async with scripted.client() as server:
        assert await server.context_length() is None
        scripted.context_length = 8192
        assert await server.context_length() == 8192
