from __future__ import annotations

from mlx_lm.utils import MODEL_REMAPPING

from apps.models.runtime.families import OTHER_NAMES, loads


def test_other_names_are_those_that_mlx_lm_knows() -> None:
    assert OTHER_NAMES == MODEL_REMAPPING


def test_families_with_code_load_and_others_do_not() -> None:
    assert loads("llama")
    assert loads("mistral")
    assert not loads("never_heard_of")
    assert not loads("../llama")
