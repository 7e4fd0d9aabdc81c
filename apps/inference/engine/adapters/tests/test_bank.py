"""Which adapters a model has, what they cost, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten

from apps.inference.engine.adapters import bank as bank_module
from apps.inference.engine.adapters.bank import AdapterBank
from apps.inference.engine.adapters.tests.tiny_adapters import spec_of, write_tiny_adapter
from apps.inference.engine.errors import AdapterFailed, InsufficientMemory
from apps.inference.engine.tests.tiny import tiny_model


@pytest.fixture
def model():
    return tiny_model()


@pytest.fixture
def bank(model):
    return AdapterBank(model)


@pytest.fixture
def written(tmp_path):
    """Writes an adapter over the tiny model: ``written(seed)``."""

    def write(seed: int = 1, **options):
        return write_tiny_adapter(tmp_path / f"a{seed}", tiny_model(), seed=seed, **options)

    return write


def layers_of(model) -> set[type]:
    attention, mlp = model.layers[0].self_attn, model.layers[0].mlp
    return {type(attention.q_proj), type(attention.o_proj), type(mlp.up_proj)}


def test_the_base_is_untouched_while_no_row_uses_an_adapter(model, bank, written):
    spec = written()
    bank.ensure(spec)
    bank.use([spec.digest])
    assert nn.Linear not in layers_of(model)
    bank.use([None, None])
    assert layers_of(model) == {nn.Linear}


def test_the_base_s_weights_are_the_same_arrays_before_and_after(model, bank, written):
    before = dict(tree_flatten(model.parameters()))
    spec = written()
    bank.ensure(spec)
    bank.use([spec.digest, None])
    bank.use([])
    after = dict(tree_flatten(model.parameters()))
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)


def test_an_adapter_can_be_added_while_another_is_used(model, bank, written):
    first, second = written(1), written(2)
    bank.ensure(first)
    bank.use([first.digest, None])
    tokens = mx.array([[1, 2, 3]] * 2)
    expected = model(tokens)
    bank.ensure(second)
    bank.use([first.digest, None])
    assert mx.array_equal(model(tokens), expected)
    assert bank.names == ("a2", "a1")


def test_a_row_keeps_what_overflows_to_itself(model, bank, written):
    """Finite factors whose products are not."""
    loud, quiet = written(1, scale=1e4), written(2)
    weights = mx.load(f"{loud.path}/adapters.safetensors")
    weights = {name: mx.full(array.shape, 3e34) for name, array in weights.items()}
    mx.save_safetensors(f"{loud.path}/adapters.safetensors", weights)
    loud = spec_of(folder_of(loud))
    tokens = mx.array([[1, 2, 3]])
    for spec in (loud, quiet):
        bank.ensure(spec)
    bank.use([quiet.digest])
    alone = model(tokens)
    bank.use([loud.digest, quiet.digest, None])
    together = model(mx.concatenate([tokens] * 3))
    assert not mx.isfinite(together[0]).all()
    assert mx.allclose(together[1], alone[0], rtol=1e-3, atol=1e-3)
    assert mx.isfinite(together[2]).all()


def test_memory_is_counted_and_joined_rows_are_part_of_it(model, bank, written):
    assert bank.nbytes == 0
    first, second = written(1), written(2)
    bank.ensure(first)
    one = bank.nbytes
    assert one == sum(a.nbytes for a in mx.load(f"{first.path}/adapters.safetensors").values())
    bank.ensure(second)
    assert bank.nbytes == 2 * one
    bank.use([first.digest, second.digest])
    mx.eval(model(mx.array([[1], [2]])))
    assert bank.nbytes == 4 * one


def test_what_was_joined_is_freed_when_rows_have_agreed_for_a_while(model, bank, written):
    first, second = written(1), written(2)
    for spec in (first, second):
        bank.ensure(spec)
    apart = bank.nbytes
    bank.use([first.digest, second.digest])
    mx.eval(model(mx.array([[1], [2]])))
    for _ in range(20):
        bank.use([first.digest])
        bank.use([])
    assert bank.nbytes == apart


def test_prefill_and_decode_in_turns_join_once(model, bank, written):
    """Two mixed batches with different adapters must not join anew at every turn."""
    specs = [written(seed) for seed in (1, 2, 3)]
    for spec in specs:
        bank.ensure(spec)
    a, b, c = (spec.digest for spec in specs)
    joined = []
    for _ in range(3):
        for rows in ([a, b], [None, c]):
            bank.use(rows)
            mx.eval(model(mx.array([[1], [2]])))
            joined.append(model.layers[0].self_attn.q_proj._joined)
    assert joined[1] is joined[2] is joined[5]


def test_idle_adapters_go_when_there_are_too_many(bank, written, monkeypatch):
    monkeypatch.setattr(bank_module, "MAX_ADAPTERS", 2)
    specs = [written(seed) for seed in (1, 2, 3)]
    for spec in specs:
        bank.ensure(spec)
    assert bank.names == ("a2", "a3")
    assert specs[0].digest not in bank


def test_an_adapter_in_use_stays(bank, written, monkeypatch):
    monkeypatch.setattr(bank_module, "MAX_ADAPTERS", 2)
    specs = [written(seed) for seed in (1, 2, 3)]
    for spec in specs:
        bank.ensure(spec, in_use={specs[0].digest, None})
    assert bank.names == ("a1", "a3")


def test_using_an_adapter_keeps_it_from_going_next(bank, written, monkeypatch):
    monkeypatch.setattr(bank_module, "MAX_ADAPTERS", 2)
    specs = [written(seed) for seed in (1, 2, 3)]
    bank.ensure(specs[0])
    bank.ensure(specs[1])
    bank.use([specs[0].digest])
    bank.ensure(specs[2])
    assert bank.names == ("a1", "a3")


def test_a_dropped_adapter_gives_its_memory_back(bank, written, monkeypatch):
    monkeypatch.setattr(bank_module, "MAX_ADAPTERS", 1)
    first, second = written(1), written(2)
    bank.ensure(first)
    one = bank.nbytes
    bank.ensure(second)
    assert bank.nbytes == one


def test_a_rewritten_adapter_has_to_be_registered_again(bank, written):
    old = written(1)
    bank.ensure(old)
    again = written(1, rank=5)
    with pytest.raises(AdapterFailed, match="Register it again"):
        AdapterBank(tiny_model()).ensure(old)
    bank.ensure(again)
    assert old.digest in bank
    assert again.digest in bank


def test_an_adapter_that_does_not_fit_in_memory_is_refused_unread(bank, written):
    with pytest.raises(InsufficientMemory, match="a1"):
        bank.ensure(written(), room=100)
    assert bank.nbytes == 0


def folder_of(spec) -> Path:
    return Path(spec.path)


def broken_config(folder):
    (folder / "adapter_config.json").write_text("{")


def full_weights(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"fine_tune_type": "full"}))


def no_weights(folder):
    (folder / "adapters.safetensors").unlink()


def cut_weights(folder):
    file = folder / "adapters.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def changed(folder, change):
    file = str(folder / "adapters.safetensors")
    mx.save_safetensors(file, change(dict(mx.load(file))))


def other_layer(folder):
    changed(folder, lambda w: {name.replace("q_proj", "z_proj"): a for name, a in w.items()})


def norm_layer(folder):
    changed(
        folder,
        lambda w: {name.replace("mlp.up_proj", "input_layernorm"): a for name, a in w.items()},
    )


def other_width(folder):
    changed(
        folder, lambda w: {n: mx.zeros((8, 4)) if n.endswith("lora_a") else a for n, a in w.items()}
    )


def not_a_number(folder):
    changed(folder, lambda w: {n: a * float("nan") for n, a in w.items()})


def magnitudes(folder):
    changed(
        folder,
        lambda w: (
            w
            | {
                n.replace("lora_b", "m"): mx.ones(a.shape[1])
                for n, a in w.items()
                if n.endswith("b")
            }
        ),
    )


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (broken_config, "adapter_config.json"),
        (full_weights, "Fuse it"),
        (no_weights, "adapters.safetensors"),
        (cut_weights, "whole safetensors file"),
        (other_layer, "no layer"),
        (norm_layer, "can't be adapted"),
        (other_width, "shape"),
        (not_a_number, "not finite"),
        (magnitudes, "not of the kind"),
    ],
)
def test_a_broken_folder_is_refused_with_the_reason_and_changes_nothing(
    model, bank, written, damage, reason
):
    good, bad = written(1), written(2)
    bank.ensure(good)
    bank.use([good.digest])
    tokens = mx.array([[1, 2, 3]])
    expected, held = model(tokens), bank.nbytes
    damage(folder_of(bad))
    if (folder_of(bad) / "adapters.safetensors").exists():
        bad = spec_of(folder_of(bad))
    with pytest.raises(AdapterFailed, match=reason):
        bank.ensure(bad)
    bank.use([good.digest])
    assert mx.array_equal(model(tokens), expected)
    assert bank.nbytes == held
    assert bank.names == ("a1",)


def test_adapters_are_held_in_the_type_that_the_model_computes_in(written):
    model = tiny_model()
    model.set_dtype(mx.bfloat16)
    bank = AdapterBank(model)
    spec = written(dtype=mx.float32)
    bank.ensure(spec)
    bank.use([spec.digest])
    assert model(mx.array([[1, 2, 3]])).dtype == mx.bfloat16
    assert bank.nbytes * 2 == sum(
        a.nbytes for a in mx.load(f"{spec.path}/adapters.safetensors").values()
    )
