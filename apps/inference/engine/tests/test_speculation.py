"""A draft model makes answers faster, never different."""

from __future__ import annotations

import pytest

from apps.inference.engine import protocol
from apps.inference.engine.protocol import DraftSpec, Sampling
from apps.inference.engine.tests.harness import SteppedEngine, chat
from apps.inference.engine.tests.tiny import write_tiny_model


@pytest.fixture(scope="module")
def drafts(tiny, other_tiny, tmp_path_factory):
    """A draft that is always right, and one that guesses."""
    same = write_tiny_model(tmp_path_factory.mktemp("drafts") / "same")
    return {
        "right": DraftSpec(name="same", path=str(same), digest="same"),
        "guessing": DraftSpec(name="other", path=other_tiny.path, digest=other_tiny.digest),
    }


@pytest.fixture
def engine(profile, tmp_path):
    return SteppedEngine(profile, tmp_path)


def drafted(request: protocol.Generate, draft: DraftSpec) -> protocol.Generate:
    model = request.model.model_copy(update={"draft": draft})
    return request.model_copy(update={"model": model})


SAMPLERS = [
    {"temperature": 0.0},
    {"temperature": 0.9, "seed": 7},
    {"temperature": 1.0, "seed": 8, "top_p": 0.9, "top_k": 20},
]


@pytest.mark.parametrize("kind", ["right", "guessing"])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=["greedy", "seeded", "filtered"])
def test_an_answer_is_the_same_with_a_draft(tiny, drafts, profile, tmp_path, kind, sampler):
    request = chat(tiny, "tell me something long", max_tokens=60, **sampler)
    plain = SteppedEngine(profile, tmp_path / "plain").answer(request)
    with_draft = SteppedEngine(profile, tmp_path / "drafted").answer(drafted(request, drafts[kind]))
    assert with_draft.text == plain.text
    assert with_draft.last.usage == plain.last.usage
    assert with_draft.last.finish_reason == plain.last.finish_reason


def test_a_draft_that_is_always_right_is_always_accepted(tiny, drafts, engine):
    done = engine.answer(drafted(chat(tiny, "go on", max_tokens=40), drafts["right"])).last
    assert done.speculation.accepted == done.speculation.drafted > 20


def test_a_draft_that_is_mostly_wrong_is_asked_rarely(tiny, drafts, engine):
    request = chat(tiny, "go on", max_tokens=100, temperature=1.0, seed=1)
    done = engine.answer(drafted(request, drafts["guessing"])).last
    assert done.speculation.drafted < 100
    assert done.speculation.accepted < done.speculation.drafted


def test_the_model_tells_what_became_of_all_proposals(tiny, drafts, engine):
    request = drafted(chat(tiny, "go on", max_tokens=30), drafts["right"])
    done = engine.answer(request).last
    (model,) = [m for m in engine.engine.snapshot.status.models if m.name == "tiny"]
    assert model.speculation == done.speculation
    assert model.draft == "same"


def test_an_answer_without_a_draft_tells_of_none(tiny, engine):
    assert engine.answer(chat(tiny, "go on")).last.speculation is None


def test_an_answer_that_gets_company_goes_on_without_its_draft(tiny, drafts, engine):
    first = drafted(chat(tiny, "first", max_tokens=60), drafts["right"])
    second = drafted(chat(tiny, "second", max_tokens=50), drafts["right"])
    alone = [engine.answer(request).text for request in (first, second)]
    asked = engine.ask(first)
    while sum(isinstance(e, protocol.Delta) for e in asked.events) < 8:
        engine.engine.turn(wait=False)
    other = engine.ask(second)
    engine.finish(asked, other)
    assert [asked.text, other.text] == alone


def test_an_answer_has_its_draft_again_when_its_company_has_left(tiny, drafts, engine):
    request = drafted(chat(tiny, "first", max_tokens=60), drafts["right"])
    alone = engine.answer(request).text
    asked = engine.ask(request)
    while sum(isinstance(e, protocol.Delta) for e in asked.events) < 8:
        engine.engine.turn(wait=False)
    visitor = engine.ask(drafted(chat(tiny, "second", max_tokens=3), drafts["right"]))
    engine.finish(visitor)
    assert not asked.finished
    engine.finish(asked)
    assert asked.text == alone
    assert asked.last.speculation.accepted > 35


@pytest.mark.parametrize(
    "asks",
    [{"logprobs": 2}, {"presence_penalty": 1.0}, {"logit_bias": {65: 1.0}}],
    ids=["logprobs", "penalties", "bias"],
)
def test_what_a_draft_cannot_foresee_is_answered_without_it(tiny, drafts, engine, asks):
    request = chat(tiny, "go on")
    request = request.model_copy(
        update={"sampling": Sampling(temperature=0.0, max_tokens=12, **asks)}
    )
    assert engine.answer(drafted(request, drafts["right"])).last.speculation is None


def test_a_stop_string_within_a_proposal_ends_the_answer_there(tiny, drafts, engine):
    request = chat(tiny, "tell me something", max_tokens=40)
    whole = engine.answer(request).text
    stop = whole[10:13]
    cut = whole[: whole.index(stop)]
    answer = engine.answer(drafted(chat(tiny, "tell me something", max_tokens=40, stop=(stop,)),
                                   drafts["right"]))  # fmt: skip
    assert answer.text == cut


def test_a_turn_that_was_drafted_is_kept_and_is_right(tiny, drafts, profile, engine, tmp_path):
    request = chat(tiny, "a question", max_tokens=30)
    done = engine.answer(drafted(request, drafts["right"])).last
    (entry,) = engine.engine.snapshot.entries.entries
    assert entry.tokens >= done.usage.prompt_tokens + done.usage.completion_tokens - 1
    # Going on from it gives what going on from an undrafted turn gives.
    longer = chat(tiny, "a question", max_tokens=60)
    undrafted = SteppedEngine(profile, tmp_path / "other").answer(longer).text
    assert engine.answer(longer).text == undrafted


def test_a_long_prompt_is_read_by_the_draft_in_parts(tiny, drafts, engine, monkeypatch):
    monkeypatch.setattr("apps.inference.engine.speculation._CATCH_UP_TOKENS", 16)
    done = engine.answer(drafted(chat(tiny, "x" * 100, max_tokens=40), drafts["right"])).last
    assert done.speculation.accepted > 10
    assert done.usage.completion_tokens == 40


@pytest.mark.parametrize("architecture", ["gemma3_text", "lfm2"])
def test_a_model_that_cannot_take_tokens_back_does_without(architecture, profile, tmp_path, drafts):
    folder = write_tiny_model(tmp_path / architecture, architecture)
    spec = protocol.ModelSpec(name=architecture, path=str(folder), digest=architecture)
    engine = SteppedEngine(profile, tmp_path)
    done = engine.answer(drafted(chat(spec, "go on", max_tokens=20), drafts["right"])).last
    assert done.speculation is None
    assert done.usage.completion_tokens == 20
