"""Tools and thoughts through the whole engine, with random weights in each family's format."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.inference.engine import protocol
from apps.inference.engine.protocol import Message, Tool, ToolCall, ToolChoice
from apps.inference.engine.tests.conftest import PROFILE
from apps.inference.engine.tests.dialects import DIALECTS
from apps.inference.engine.tests.harness import Asked, SteppedEngine, chat
from apps.inference.engine.tests.tiny import write_tiny_model

WEATHER = Tool(
    name="weather",
    description="The weather",
    parameters=json.dumps(
        {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Oslo", "Zürich"]},
                "days": {"$ref": "#/$defs/days"},
                "exact": {"type": "boolean"},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
            "$defs": {"days": {"type": "integer", "minimum": 1, "maximum": 9}},
        }
    ),
)
CLOCK = Tool(
    name="clock", parameters='{"type": "object", "properties": {}, "additionalProperties": false}'
)
REQUIRED = ToolChoice(mode="required", parallel=False)
THINKING_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "<|assistant|>{% if enable_thinking is not defined or enable_thinking %}<think>\n"
    "{% else %}<think>\n\n</think>\n\n{% endif %}"
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    stepped = SteppedEngine(PROFILE, tmp_path_factory.mktemp("tools"), max_batch=4)
    yield stepped
    stepped.engine._cache.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model of each dialect."""
    folder = tmp_path_factory.mktemp("dialects")
    specs = {}
    for name, dialect in DIALECTS.items():
        path = write_tiny_model(
            folder / name,
            template=dialect.template,
            markers=dialect.markers,
            max_position_embeddings=4096,
        )
        specs[name] = protocol.ModelSpec(name=name, path=str(path), digest=f"digest-of-{name}")
    return specs


@pytest.fixture(scope="module")
def thinker(tmp_path_factory):
    """A model whose template opens its thoughts."""
    path = write_tiny_model(
        tmp_path_factory.mktemp("models") / "thinker",
        template=THINKING_TEMPLATE,
        markers=("<think>", "</think>"),
        max_position_embeddings=4096,
    )
    return protocol.ModelSpec(name="thinker", path=str(path), digest="digest-of-thinker")


def ask_with(model, *tools, choice=REQUIRED, text="weather?", **sampling):
    request = chat(model, text, **{"max_tokens": 200, **sampling})
    return request.model_copy(update={"tools": tools, "tool_choice": choice})


def calls_of(asked: Asked):
    """Names and arguments' texts, in order."""
    names = [e.name for e in asked.events if isinstance(e, protocol.ToolCallStart)]
    texts = [""] * len(names)
    for event in asked.events:
        if isinstance(event, protocol.ToolCallArguments):
            texts[event.index] += event.text
    return list(zip(names, texts, strict=True))


def parsed(asked: Asked):
    return [(name, json.loads(given)) for name, given in calls_of(asked)]


def thoughts_of(asked: Asked):
    return "".join(e.text for e in asked.events if isinstance(e, protocol.Reasoning))


# --- forced -----------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_forced_call_is_valid_whatever_the_weights_say(engine, models, dialect):
    for seed in range(8):
        asked = engine.answer(
            ask_with(models[dialect], WEATHER, CLOCK, temperature=2.0, seed=seed, max_tokens=400)
        )
        ((name, given),) = calls_of(asked)
        tool = {tool.name: tool for tool in (WEATHER, CLOCK)}[name]
        jsonschema.validate(json.loads(given), json.loads(tool.parameters))
        assert asked.last.finish_reason == "tool_calls"
        assert asked.text == ""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_named_function_is_the_one_that_is_called(engine, models, dialect):
    choice = ToolChoice(mode="required", name="clock")
    asked = engine.answer(ask_with(models[dialect], WEATHER, CLOCK, choice=choice))
    assert parsed(asked) == [("clock", {})]


def test_required_calls_may_be_several(engine, models):
    several = ToolChoice(mode="required")
    counts = set()
    for seed in range(6):
        asked = engine.answer(
            ask_with(models["hermes"], CLOCK, choice=several, temperature=2.0, seed=seed)
        )
        counts.add(len(calls_of(asked)))
        assert {name for name, _ in calls_of(asked)} == {"clock"}
    assert max(counts) > 1


PROPERTY = st.one_of(
    st.just({"type": "string", "enum": ["a", "é✓"]}),
    st.just({"type": "boolean"}),
    st.integers(0, 5).map(lambda n: {"type": "integer", "minimum": n, "maximum": n + 3}),
    st.just({"type": "array", "items": {"type": "boolean"}, "maxItems": 2}),
    st.just({"anyOf": [{"type": "null"}, {"const": 7}]}),
)


@given(
    properties=st.dictionaries(st.sampled_from(["one", "two words", "é"]), PROPERTY, max_size=3),
    dialect=st.sampled_from(sorted(DIALECTS)),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_forced_arguments_keep_to_any_schema(engine, models, properties, dialect, data):
    required = (
        data.draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    )
    schema = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    tool = Tool(name="f", parameters=json.dumps(schema))
    asked = engine.answer(ask_with(models[dialect], tool, max_tokens=400, temperature=1.5))
    ((_, given_arguments),) = calls_of(asked)
    jsonschema.validate(json.loads(given_arguments), schema)


def test_a_call_that_is_cut_off_says_length(engine, models):
    asked = engine.answer(ask_with(models["hermes"], WEATHER, max_tokens=60))
    assert asked.last.finish_reason == "length"


# --- by choice --------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["qwen_coder", "llama", "mistral_list", "mistral_named"])
def test_a_call_that_the_model_opens_itself_keeps_to_its_schema(engine, models, dialect):
    model = models[dialect]
    opening = 256 + 4  # the first marker's token
    choice = ToolChoice(parallel=False)
    for seed in range(5):
        asked = engine.answer(
            ask_with(
                model,
                WEATHER,
                CLOCK,
                choice=choice,
                temperature=2.0,
                seed=seed,
                logit_bias={opening: 100.0},
                max_tokens=400,
            )
        )
        ((name, given),) = calls_of(asked)
        tool = {tool.name: tool for tool in (WEATHER, CLOCK)}[name]
        jsonschema.validate(json.loads(given), json.loads(tool.parameters))
        assert asked.last.finish_reason == "tool_calls"


def test_tools_that_are_not_called_change_no_answer_but_by_the_prompt(engine, models):
    asked = engine.answer(ask_with(models["hermes"], WEATHER, choice=ToolChoice(), max_tokens=20))
    assert asked.last.usage.completion_tokens <= 20
    assert calls_of(asked) == []
    assert asked.text


def test_tools_that_must_not_be_called_are_not_offered(engine, models):
    plain = engine.answer(chat(models["hermes"], "weather?"))
    none = engine.answer(
        ask_with(models["hermes"], WEATHER, choice=ToolChoice(mode="none"), max_tokens=12)
    )
    assert none.last.usage.prompt_tokens == plain.last.usage.prompt_tokens
    assert none.text == plain.text


def test_a_response_format_leaves_room_for_calls(engine, models):
    request = ask_with(
        models["mistral_named"],
        CLOCK,
        choice=ToolChoice(),
        grammar=protocol.Grammar(kind="json_schema", text='{"type": "boolean"}'),
    )

    def biased(bias):
        sampling = request.sampling.model_copy(update={"logit_bias": {260: bias}})
        return engine.answer(request.model_copy(update={"sampling": sampling}))

    assert biased(-100.0).text in ("true", "false")
    asked = biased(100.0)
    assert parsed(asked)[0] == ("clock", {})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tools": (), "tool_choice": REQUIRED}, "no tools are given"),
        ({"tool_choice": ToolChoice(mode="required", name="x")}, "not among the tools"),
        ({"tools": (Tool(name="f", parameters="[]"),)}, "no JSON Schema object"),
        ({"tools": (Tool(name="f", parameters='{"type": "strange"}'),)}, "strange"),
        (
            {"tools": (Tool(name="f", parameters='{"not": {}}', strict=True),)},
            "Unimplemented keys",
        ),
        ({"template_options": {"chat_template": "x"}}, "chat_template is no option"),
    ],
)
def test_tools_of_no_use_are_refused_with_the_reason(engine, models, fields, message):
    request = ask_with(models["hermes"], CLOCK).model_copy(update=fields)
    failed = engine.answer(request).last
    assert failed.code == "invalid_request"
    assert message in failed.message


def test_what_of_a_schema_cannot_be_enforced_is_left_out_unless_strict(engine, models):
    tool = Tool(name="f", parameters='{"type": "object", "not": {}, "additionalProperties": false}')
    assert parsed(engine.answer(ask_with(models["hermes"], tool))) == [("f", {})]


# --- conversations ----------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_results_go_back_and_the_next_turn_reuses_what_was_computed(engine, models, dialect):
    model = models[dialect]
    first = ask_with(model, WEATHER)
    engine.answer(first)
    call = ToolCall(id="call_1", name="weather", arguments='{"city": "Oslo", "days": 1}')
    later = first.model_copy(
        update={
            "messages": (
                *first.messages,
                Message(role="assistant", content="", tool_calls=(call,)),
                Message(role="tool", content="rain", tool_call_id="call_1"),
            ),
            "tool_choice": ToolChoice(),
        }
    )
    answered = engine.answer(later)
    assert isinstance(answered.last, protocol.Done)
    assert answered.last.usage.cached_tokens >= 100, "the tools and the question"


def test_other_tools_are_another_system_prompt(engine, models):
    formatter = engine.engine._pool[models["hermes"].digest].formatter
    prefixes = {formatter.system_prefix("Be brief.", tools) for tools in ((), (WEATHER,), (CLOCK,))}
    assert len(prefixes) == 3


# --- thoughts ---------------------------------------------------------------


def test_thoughts_that_the_template_opens_are_told_apart_and_counted(engine, thinker):
    never_ends = {256: -100.0, 261: -100.0}
    asked = engine.answer(chat(thinker, "hm?", max_tokens=10, logit_bias=never_ends))
    assert asked.text == ""
    assert thoughts_of(asked)
    assert asked.last.usage.reasoning_tokens == asked.last.usage.completion_tokens == 10


def test_a_grammar_begins_behind_the_thoughts(engine, thinker):
    request = chat(
        thinker,
        "hm?",
        temperature=2.0,
        seed=1,
        max_tokens=200,
        logit_bias={261: 6.0},
        grammar=protocol.Grammar(kind="regex", text="[a-z]{3}!"),
    )
    asked = engine.answer(request)
    assert asked.text.endswith("!")
    assert len(asked.text) == 4
    assert asked.last.usage.reasoning_tokens > 0


def test_a_template_that_is_told_not_to_think_leaves_all_as_text(engine, thinker):
    for options in ({"enable_thinking": False}, {"reasoning_effort": "none"}):
        request = chat(thinker, "hm?").model_copy(update={"template_options": options})
        asked = engine.answer(request)
        assert thoughts_of(asked) == ""
        assert asked.last.usage.reasoning_tokens == 0


def test_thinking_comes_before_a_forced_call(engine, thinker):
    asked = engine.answer(
        ask_with(thinker, CLOCK, temperature=2.0, seed=2, logit_bias={261: 100.0}, text="x")
    )
    assert parsed(asked) == [("clock", {})]


def test_the_stop_string_is_named(engine, tiny):
    whole = engine.answer(chat(tiny, "hello")).text
    stop = whole[3:5]
    asked = engine.answer(chat(tiny, "hello", stop=("never", stop)))
    assert asked.last.stop_string == stop
    assert asked.text == whole[: whole.find(stop)]
