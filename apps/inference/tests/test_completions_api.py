"""POST /v1/completions: OpenAI's requests as the engine gets them, its answers as OpenAI's."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.inference.api.completion_logprobs import LogprobLists
from apps.inference.engine.protocol import (
    Delta,
    Generate,
    Prompt,
    PromptToken,
    PromptTokens,
    TokenLogprob,
    TopToken,
)
from apps.inference.tests.conftest import Caller
from apps.models.models import LocalModel
from tests.engine_scripts import failure, reply
from tests.fake_engine import FakeEngine


def ask(call: Caller, **fields: Any) -> Any:
    return call("POST", "/v1/completions", {"model": "tiny", "prompt": "Once"} | fields)


def token(text: str | bytes, logprob: float = -0.5, **top: float) -> TokenLogprob:
    data = text if isinstance(text, bytes) else text.encode()
    return TokenLogprob(
        text=data.decode(errors="replace"),
        bytes=tuple(data),
        logprob=logprob,
        top=tuple(
            TopToken(text=word, bytes=tuple(word.encode()), logprob=value)
            for word, value in top.items()
        ),
    )


def prompt_token(text: str, logprob: float | None = -1.0) -> PromptToken:
    return PromptToken(text=text, bytes=tuple(text.encode()), logprob=logprob)


class TestAnAnswer:
    def test_goes_on_with_the_prompt(self, call: Caller, tiny: Any, fake_engine: FakeEngine):
        fake_engine.once(Generate, *reply(" upon", " a time", cached_tokens=4))

        answer = ask(call)

        assert answer.status == 200
        assert answer.json["object"] == "text_completion"
        assert answer.json["id"].startswith("cmpl-")
        (choice,) = answer.json["choices"]
        assert choice["timings"].pop("time_to_first_token") == 0.05
        assert choice | {"timings": None} == {
            "text": " upon a time",
            "index": 0,
            "logprobs": None,
            "finish_reason": "stop",
            "timings": None,
        }
        usage = answer.json["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (12, 2)
        assert usage["prompt_tokens_details"]["cached_tokens"] == 4

    def test_is_asked_for_as_the_request_says(
        self, call: Caller, tiny: LocalModel, fake_engine: FakeEngine
    ):
        ask(
            call,
            max_tokens=5,
            temperature=0.5,
            top_p=0,
            stop="\n",
            seed=3,
            logprobs=2,
            logit_bias={"7": -100},
            presence_penalty=1,
            min_p=0.1,
            user="me",
            cache_salt="s",
            structured_outputs={"regex": "a+"},
        )

        request = fake_engine.wait_for_call(Generate).request
        assert (request.prompt, request.messages, request.suffix) == ("Once", (), None)
        assert request.sampling.model_dump(exclude_defaults=True) == {
            "max_tokens": 5,
            "temperature": 0.5,
            "top_p": 1e-6,
            "stop": ("\n",),
            "seed": 3,
            "logprobs": 2,
            "logit_bias": {7: -100.0},
            "presence_penalty": 1.0,
            "min_p": 0.1,
            "grammar": {"kind": "regex", "text": "a+"},
        }
        assert (request.client, request.cache_salt) == ("api:me", "s")

    def test_has_sixteen_tokens_unless_said_otherwise(
        self, call: Caller, tiny: LocalModel, fake_engine: FakeEngine
    ):
        ask(call)

        assert fake_engine.wait_for_call(Generate).request.sampling.max_tokens == 16

    @pytest.mark.parametrize(
        ("prompt", "asked"),
        [
            ("Once", ["Once"]),
            (["Once", "Twice"], ["Once", "Twice"]),
            ([5, 6], [(5, 6)]),
            ([[5, 6], [7]], [(5, 6), (7,)]),
            ("", [""]),
        ],
    )
    def test_takes_every_shape_of_prompt(
        self, call: Caller, tiny: Any, fake_engine: FakeEngine, prompt: Any, asked: list[Any]
    ):
        answer = ask(call, prompt=prompt)

        assert answer.status == 200
        assert sorted(r.prompt for r in fake_engine.requests) == sorted(asked)
        assert [choice["index"] for choice in answer.json["choices"]] == list(range(len(asked)))

    def test_of_several_prompts_has_n_choices_of_each_with_seeds_of_their_own(
        self, call: Caller, tiny: Any, fake_engine: FakeEngine
    ):
        answer = ask(call, prompt=["a", "b"], n=2, best_of=2, seed=10)

        assert len(answer.json["choices"]) == 4
        asked = sorted((r.prompt, r.sampling.seed) for r in fake_engine.requests)
        assert asked == [("a", 10), ("a", 11), ("b", 10), ("b", 11)]
        assert answer.json["usage"]["prompt_tokens"] == 24  # each prompt once
        assert answer.json["usage"]["completion_tokens"] == 8

    def test_of_more_prompts_than_fit_a_batch_is_made_in_turns(
        self, call: Caller, tiny: Any, fake_engine: FakeEngine
    ):
        prompts = [f"prompt {number}" for number in range(50)]

        answer = ask(call, prompt=prompts)

        assert len(answer.json["choices"]) == 50
        assert sorted(r.prompt for r in fake_engine.requests) == sorted(prompts)

    def test_hands_the_suffix_on(self, call: Caller, tiny: Any, fake_engine: FakeEngine):
        ask(call, suffix=" end.")

        assert fake_engine.wait_for_call(Generate).request.suffix == " end."


class TestEcho:
    def test_begins_with_the_prompt(self, call: Caller, tiny: Any, fake_engine: FakeEngine):
        fake_engine.once(Generate, *reply(" upon"))

        assert ask(call, echo=True).json["choices"][0]["text"] == "Once upon"
        assert not fake_engine.wait_for_call(Generate).request.score_prompt

    def test_of_tokens_is_spelled_by_the_engine(
        self, call: Caller, tiny: Any, fake_engine: FakeEngine
    ):
        told = PromptTokens(tokens=(prompt_token("On", None), prompt_token("ce", None)))
        fake_engine.once(Generate, *reply(told, " upon"))

        choice = ask(call, prompt=[5, 6], echo=True).json["choices"][0]

        assert (choice["text"], choice["logprobs"]) == ("Once upon", None)
        assert fake_engine.wait_for_call(Generate).request.score_prompt

    def test_with_log_probabilities_has_those_of_the_prompt(
        self, call: Caller, tiny: Any, fake_engine: FakeEngine
    ):
        told = PromptTokens(
            tokens=(prompt_token("<s>", None), prompt_token("On"), prompt_token("ce", -2.0))
        )
        answer = Delta(text=" upon", logprobs=(token(" upon", -0.1, **{" upon": -0.1, "s": -3.0}),))
        fake_engine.once(Generate, *reply(told, answer))

        choice = ask(call, echo=True, logprobs=2).json["choices"][0]

        assert choice["text"] == "Once upon"
        assert choice["logprobs"] == {
            "tokens": ["<s>", "On", "ce", " upon"],
            "token_logprobs": [None, -1.0, -2.0, -0.1],
            "top_logprobs": [None, {"On": -1.0}, {"ce": -2.0}, {" upon": -0.1, "s": -3.0}],
            "text_offset": [0, 0, 2, 4],
        }

    def test_without_an_answer_leaves_that_out(
        self, call: Caller, tiny: Any, fake_engine: FakeEngine
    ):
        told = PromptTokens(tokens=(prompt_token("On", None), prompt_token("ce")))
        fake_engine.once(Generate, *reply(told, Delta(text=" upon", logprobs=(token(" upon"),))))

        answer = ask(call, echo=True, logprobs=0, max_tokens=0).json

        (choice,) = answer["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("Once", "length")
        assert choice["logprobs"]["tokens"] == ["On", "ce"]
        assert answer["usage"]["completion_tokens"] == 0


class TestLogProbabilities:
    def test_are_told_in_four_lists(self, call: Caller, tiny: Any, fake_engine: FakeEngine):
        fake_engine.once(
            Generate,
            *reply(
                Delta(text="né", logprobs=(token("n", -0.1, n=-0.1), token("é", -9.0, e=-0.2))),
                Delta(text="🌍", logprobs=(token(b"\xf0\x9f"), token(b"\x8c\x8d", -99999.0))),
            ),
        )

        choice = ask(call, logprobs=1).json["choices"][0]

        assert choice["logprobs"] == {
            "tokens": ["n", "é", "bytes:\\xf0\\x9f", "bytes:\\x8c\\x8d"],
            "token_logprobs": [-0.1, -9.0, -0.5, -9999.0],
            "top_logprobs": [
                {"n": -0.1},
                {"e": -0.2, "é": -9.0},
                {"bytes:\\xf0\\x9f": -0.5},
                {"bytes:\\x8c\\x8d": -9999.0},
            ],
            "text_offset": [0, 1, 2, 2],
        }

    @given(text=st.text(max_size=60), cuts=st.sets(st.integers(0, 240)))
    def test_have_offsets_that_point_into_the_text(self, text: str, cuts: set[int]):
        data = text.encode()
        places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
        tokens = tuple(token(data[a:b]) for a, b in pairwise(places))

        lists = LogprobLists().take(tokens)

        for spelled, offset in zip(lists.tokens, lists.text_offset, strict=True):
            if not spelled.startswith("bytes:"):
                assert text[offset : offset + len(spelled)] == spelled


class TestAStream:
    def test_sends_each_piece_and_the_usage_at_last(
        self, call: Caller, tiny: Any, fake_engine: FakeEngine
    ):
        fake_engine.once(Generate, *reply(" upon", " a time"))

        data = ask(call, stream=True, stream_options={"include_usage": True}).data

        *chunks, last, done = data
        assert done == "[DONE]"
        assert [chunk["choices"][0]["text"] for chunk in chunks] == [" upon", " a time", ""]
        assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
        assert all(chunk["usage"] is None for chunk in chunks)
        assert (last["choices"], last["usage"]["total_tokens"]) == ([], 14)

    def test_without_usage_does_not_mention_it(
        self, call: Caller, tiny: Any, fake_engine: FakeEngine
    ):
        *chunks, _ = ask(call, stream=True).data

        assert all("usage" not in chunk for chunk in chunks)

    def test_says_the_same_as_a_whole_answer(
        self, call: Caller, tiny: Any, fake_engine: FakeEngine
    ):
        script = reply(
            PromptTokens(tokens=(prompt_token("On", None), prompt_token("ce"))),
            Delta(text=" up", logprobs=(token(" up"),)),
            Delta(text="on", logprobs=(token("on"),)),
        )
        fake_engine.always(Generate, *script)

        whole = ask(call, echo=True, logprobs=1).json["choices"][0]
        chunks = [c["choices"][0] for c in ask(call, echo=True, logprobs=1, stream=True).data[:-1]]

        assert "".join(chunk["text"] for chunk in chunks) == whole["text"] == "Once upon"
        told = [chunk["logprobs"] for chunk in chunks if chunk["logprobs"]]
        for name, values in whole["logprobs"].items():
            assert [value for logprobs in told for value in logprobs[name]] == values

    def test_ends_with_its_error(self, call: Caller, tiny: Any, fake_engine: FakeEngine):
        begun = [Prompt(prompt_tokens=3, cached_tokens=0), Delta(text="a")]
        fake_engine.once(Generate, *begun, failure("deadline_exceeded"))

        data = ask(call, stream=True).data

        assert data[-1]["error"]["code"] == "deadline_exceeded"
        assert "[DONE]" not in data


@pytest.mark.parametrize(
    ("fields", "param", "why"),
    [
        ({"prompt": 3}, "prompt", "a list of tokens"),
        ({"prompt": []}, "prompt", "a list of tokens"),
        ({"prompt": ["a", [3]]}, "prompt", "a list of tokens"),
        ({"prompt": [True]}, "prompt", "a list of tokens"),
        ({"logprobs": 6}, "logprobs", "less than or equal to 5"),
        ({"best_of": 2}, "best_of", "should be n"),
        ({"max_tokens": 0}, "max_tokens", "at least 1"),
        ({"suffix": "b", "prompt": ["a", "b"]}, "suffix", "one prompt"),
        ({"suffix": "b", "echo": True}, "suffix", "not go together"),
        ({"prompt": ["a"] * 20, "n": 16}, "n", "ask for 320 answers"),
        ({"prompt": ["a"] * 200}, "prompt", "ask for 200 answers"),
        ({"tools": []}, "tools", "not known"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    call: Caller, tiny: LocalModel, fields: dict[str, Any], param: str, why: str
):
    answer = ask(call, **fields)

    assert answer.status == 400
    assert why in answer.error["message"]
    assert answer.error["param"] == param


def test_a_model_that_makes_vectors_is_refused(call: Caller, tiny: LocalModel):
    LocalModel.objects.update(kind=LocalModel.Kind.EMBEDDING)

    answer = ask(call)

    assert (answer.status, answer.error["code"]) == (400, "model_unsuitable")
    assert "tiny is an embedding model" in answer.error["message"]
