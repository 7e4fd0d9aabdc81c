"""Adapters from request to events: mixed batches, the prompt cache, failures."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest
from mlx_lm.generate import generate_step
from mlx_lm.tuner.utils import load_adapters

from apps.inference.engine import protocol
from apps.inference.engine.adapters import bank as bank_module
from apps.inference.engine.adapters.tests.tiny_adapters import spec_of, write_tiny_adapter
from apps.inference.engine.tests.harness import Asked, SteppedEngine, chat
from apps.inference.engine.tests.tiny import tiny_model

SYSTEM = "You are a patient teacher of geography and you answer briefly."


@pytest.fixture
def engine(profile, tmp_path):
    stepped = SteppedEngine(profile, tmp_path)
    yield stepped
    stepped.engine._cache.close()


@pytest.fixture(scope="module")
def adapters(tmp_path_factory) -> list[protocol.AdapterSpec]:
    """Three adapters over the tiny model, of different ranks, the last one DoRA."""
    root = tmp_path_factory.mktemp("adapters")
    options = [{"rank": 4}, {"rank": 7}, {"rank": 2, "kind": "dora"}]
    return [
        write_tiny_adapter(root / f"adapter{seed}", tiny_model(), seed=seed, **one)
        for seed, one in enumerate(options, 1)
    ]


def over(adapter: protocol.AdapterSpec | None, request: protocol.Generate) -> protocol.Generate:
    return request.model_copy(update={"adapter": adapter})


def alone(engine, spec, adapter, request) -> str:
    """What mlx-lm generates for the request, with this adapter loaded into a model of its own."""
    pooled = engine.engine._pool[spec.digest]
    model = tiny_model()
    if adapter is not None:
        load_adapters(model, adapter.path)
        model.eval()
    prompt = mx.array(pooled.formatter.prompt(request.messages).tokens)
    tokenizer = pooled.loaded.tokenizer
    steps = generate_step(prompt, model, max_tokens=request.sampling.max_tokens)
    tokens = [int(token) for token, _ in steps]
    ends = [i for i, token in enumerate(tokens) if token in tokenizer.eos_token_ids]
    return tokenizer.decode(tokens[: ends[0]] if ends else tokens).rstrip("�")


def test_rows_with_different_adapters_get_what_each_would_get_alone(engine, tiny, adapters):
    """Of different lengths, so that some are prefilled together and join the batch later."""
    wanted = [None, *adapters, None, adapters[0]]
    requests = [
        over(one, chat(tiny, "x" * (5 + 30 * (i % 3)) + str(i), max_tokens=20))
        for i, one in enumerate(wanted)
    ]
    engine.answer(chat(tiny, "load", max_tokens=1))
    asked = [Asked() for _ in requests]
    for one, request in zip(asked, requests, strict=True):
        engine.engine.submit(request, one.call)
    engine.finish(*asked)
    for one, adapter, request in zip(asked, wanted, requests, strict=True):
        assert one.text.rstrip("�") == alone(engine, tiny, adapter, request)


def test_an_adapter_answers_otherwise_than_its_base(engine, tiny, adapters):
    request = chat(tiny, "hello", max_tokens=20)
    texts = {engine.answer(over(one, request)).text for one in (None, *adapters)}
    assert len(texts) == 4


def test_one_prompt_for_several_adapters_shares_no_kv(engine, tiny, adapters):
    request = chat(tiny, "hello", system=SYSTEM)
    for adapter in (None, *adapters):
        assert engine.answer(over(adapter, request)).last.usage.cached_tokens == 0
    for adapter in (None, *adapters):
        usage = engine.answer(over(adapter, request)).last.usage
        assert usage.cached_tokens == usage.prompt_tokens - 1


def test_one_prompt_for_several_adapters_at_once_does_not_wait_for_the_others_kv(
    engine, tiny, adapters
):
    request = chat(tiny, "x" * 400, max_tokens=5)
    engine.answer(chat(tiny, "load", max_tokens=1))
    asked = [Asked() for _ in adapters]
    for one, adapter in zip(asked, adapters, strict=True):
        engine.engine.submit(over(adapter, request), one.call)
    engine.engine.turn(wait=False)
    assert engine.engine._scheduler.queued == 0
    engine.finish(*asked)
    for one, adapter in zip(asked, adapters, strict=True):
        assert one.text.rstrip("�") == alone(engine, tiny, adapter, request)


def test_warming_with_an_adapter_makes_its_first_chat_a_hit(engine, tiny, adapters):
    warm = protocol.Warm(model=tiny, system_prompt=SYSTEM, adapter=adapters[0])
    warmed = engine.answer(warm).last
    chats = [over(one, chat(tiny, "hello", system=SYSTEM)) for one in (None, adapters[0])]
    cached = [engine.answer(one).last.usage.cached_tokens for one in chats]
    assert cached == [0, warmed.tokens]


def test_an_adapter_joins_while_others_decode(engine, tiny, adapters):
    first = over(adapters[0], chat(tiny, "first", max_tokens=40))
    plain = chat(tiny, "plain", max_tokens=40)
    running = [engine.ask(first), engine.ask(plain)]
    for _ in range(5):
        engine.engine.turn(wait=False)
    late = over(adapters[1], chat(tiny, "late", max_tokens=20))
    running.append(engine.ask(late))
    engine.finish(*running)
    for one, adapter, request in zip(
        running, (adapters[0], None, adapters[1]), (first, plain, late), strict=True
    ):
        assert one.text.rstrip("�") == alone(engine, tiny, adapter, request)


def test_the_model_tells_which_adapters_it_has(engine, tiny, adapters):
    engine.answer(over(adapters[0], chat(tiny, "hello")))
    engine.answer(over(adapters[1], chat(tiny, "hello")))
    (model,) = engine.engine.snapshot.status.models
    assert model.adapters == ("adapter1", "adapter2")


def test_adapters_count_as_memory_of_their_model(engine, tiny, adapters):
    engine.answer(chat(tiny, "hello"))
    pooled = engine.engine._pool[tiny.digest]
    before = pooled.footprint.weights_bytes
    engine.answer(over(adapters[0], chat(tiny, "hello")))
    assert pooled.footprint.weights_bytes == before + pooled.runner.adapters.nbytes > before


def test_an_adapter_that_is_answering_or_awaited_is_not_dropped(
    profile, tmp_path, tiny, adapters, monkeypatch
):
    monkeypatch.setattr(bank_module, "MAX_ADAPTERS", 1)
    engine = SteppedEngine(profile, tmp_path, max_batch=1)
    engine.answer(chat(tiny, "load", max_tokens=1))
    requests = [over(one, chat(tiny, "hello", max_tokens=30)) for one in adapters]
    asked = [engine.ask(request) for request in requests]
    bank = engine.engine._pool[tiny.digest].runner.adapters
    assert len(bank.names) == 3
    engine.finish(*asked)
    for one, adapter, request in zip(asked, adapters, requests, strict=True):
        assert one.text.rstrip("�") == alone(engine, tiny, adapter, request)


def test_an_adapter_rewritten_in_place_is_another(engine, tiny, tmp_path):
    folder = tmp_path / "adapter"
    old = write_tiny_adapter(folder, tiny_model(), seed=1)
    request = chat(tiny, "hello", max_tokens=20)
    before = engine.answer(over(old, request))
    new = write_tiny_adapter(folder, tiny_model(), seed=2)
    after = engine.answer(over(new, request))
    assert after.last.usage.cached_tokens == 0
    assert after.text.rstrip("�") == alone(engine, tiny, new, request) != before.text.rstrip("�")


def test_a_broken_adapter_ends_its_own_request_only(engine, tiny, tmp_path):
    bystander = engine.ask(chat(tiny, "bystander", max_tokens=20))
    folder = tmp_path / "gone"
    spec = protocol.AdapterSpec(name="gone", path=str(folder), digest="sha256:0")
    victim = engine.answer(over(spec, chat(tiny, "hello")))
    assert victim.last.code == "adapter_failed"
    assert "adapter_config.json" in victim.last.message
    engine.finish(bystander)
    assert bystander.last.event == "done"


def test_an_adapter_over_another_architecture_is_refused_by_name(engine, tiny, tmp_path):
    foreign = write_tiny_adapter(tmp_path / "foreign", tiny_model("mamba2"), seed=1)
    failed = engine.answer(over(foreign, chat(tiny, "hello"))).last
    assert failed.code == "adapter_failed"
    assert "foreign" in failed.message
    assert "trained on" in failed.message


def test_an_adapter_that_overflows_breaks_nobody_elses_answer(engine, tiny, tmp_path):
    loud = write_tiny_adapter(tmp_path / "loud", tiny_model(), seed=1, scale=1e4)
    file = str(Path(loud.path) / "adapters.safetensors")
    huge = {name: mx.full(array.shape, 3e34) for name, array in mx.load(file).items()}
    mx.save_safetensors(file, huge)
    request = chat(tiny, "hello", max_tokens=20)
    asked = [engine.ask(over(spec_of(Path(loud.path)), request)), engine.ask(request)]
    engine.finish(*asked)
    assert asked[1].text.rstrip("�") == alone(engine, tiny, None, request)
