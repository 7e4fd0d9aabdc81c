from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from apps.models.runtime import accelerator, loading
from apps.models.runtime.errors import ImportDestinationError, ModelFormatError
from apps.models.runtime.inspect import inspect_model
from apps.models.runtime.work.converting import convert
from apps.models.runtime.work.events import Figures
from apps.models.runtime.work.orders import ConvertOrder, Quantization
from apps.models.runtime.work.tests.conftest import ignore

PROFILE = accelerator.prepare()


def converted(source: Path, **order: object) -> Figures:
    fields = {"source": source, "destination": source.with_name("out"), "measure": False} | order
    return convert(ConvertOrder.model_validate(fields), PROFILE, ignore)


def logits(folder: Path) -> np.ndarray:
    model = loading.load(folder, PROFILE)
    return np.array(model.model(mx.array([[5, 9, 40, 41]])))


@pytest.mark.parametrize(
    ("quantization", "words"),
    [
        (Quantization(bits=8, group_size=32), "8-bit"),
        (Quantization(bits=4, group_size=32), "4-bit"),
        (Quantization(mode="mxfp4"), "4-bit"),
        (Quantization(mode="mxfp8"), "8-bit"),
    ],
)
def test_a_conversion_has_the_bits_that_were_ordered(
    source: Path, quantization: Quantization, words: str
) -> None:
    figures = converted(source, quantization=quantization)

    assert inspect_model(source.with_name("out")).quantization == words
    assert figures.before is not None
    assert figures.after is not None
    assert figures.before.bits_per_weight == pytest.approx(16, rel=0.01)
    assert figures.after.bits_per_weight < 10


def test_a_mixed_recipe_packs_some_matrices_with_more_bits(source: Path) -> None:
    converted(source, quantization=Quantization(mixed="mixed_3_6", group_size=32))

    assert inspect_model(source.with_name("out")).quantization == "mixed 3/6-bit"


def test_eight_bits_compute_what_the_original_does_but_for_rounding(source: Path) -> None:
    converted(source, quantization=Quantization(bits=8, group_size=32))

    exact, rounded = logits(source), logits(source.with_name("out"))
    assert np.abs(exact - rounded).max() < 0.05 * np.abs(exact).max()


def test_what_is_packed_already_is_packed_anew(source: Path) -> None:
    converted(source, quantization=Quantization(bits=8, group_size=32))
    packed = source.with_name("packed")
    source.with_name("out").rename(packed)

    converted(packed, quantization=Quantization(bits=4, group_size=32))

    assert inspect_model(source.with_name("out")).quantization == "4-bit"


def test_unpacking_changes_no_logit(source: Path) -> None:
    converted(source, quantization=Quantization(bits=8, group_size=32), dtype="float32")
    packed = source.with_name("packed")
    source.with_name("out").rename(packed)

    converted(packed)

    assert inspect_model(source.with_name("out")).quantization == "float32"
    np.testing.assert_allclose(logits(packed), logits(source.with_name("out")), atol=1e-4)


def test_the_tokenizer_goes_along_byte_for_byte_and_programs_do_not(source: Path) -> None:
    (source / "modeling.py").write_text("raise SystemExit")
    (source / "LICENSE").write_text("free")

    converted(source, quantization=Quantization(bits=4, group_size=32))

    out = source.with_name("out")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "LICENSE"):
        assert (out / name).read_bytes() == (source / name).read_bytes()
    assert not (out / "modeling.py").exists()


def test_the_original_stays_as_it_is(source: Path) -> None:
    before = {file.name: file.read_bytes() for file in source.iterdir()}

    converted(source, quantization=Quantization(bits=4, group_size=32))

    assert {file.name: file.read_bytes() for file in source.iterdir()} == before


def test_a_group_that_divides_no_matrix_is_refused_and_leaves_nothing(source: Path) -> None:
    with pytest.raises(ModelFormatError, match="Choose a smaller group size"):
        converted(source, quantization=Quantization(bits=4, group_size=128))

    assert {each.name for each in source.parent.iterdir()} == {"tiny", "tiny.gguf"}


def test_what_exists_is_never_overwritten(source: Path) -> None:
    source.with_name("out").mkdir()

    with pytest.raises(ImportDestinationError, match="never overwrites"):
        converted(source)


def test_both_are_measured_on_the_same_text(source: Path) -> None:
    figures = converted(source, quantization=Quantization(bits=8, group_size=32), measure=True)

    assert figures.before is not None
    assert figures.after is not None
    before, after = figures.before.perplexity, figures.after.perplexity
    assert before is not None
    assert after == pytest.approx(before, rel=0.05)
    assert figures.after.tokens_per_second is not None
    assert figures.after.tokens_per_second > 0
