"""What folders say of the vectors their models make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.models.runtime.embedding.description import EmbeddingDescription, describe_embedding
from apps.models.runtime.errors import ModelFormatError

BERT = {"model_type": "bert", "max_position_embeddings": 512}


def folder(
    path: Path, *, pooling: dict[str, Any], kinds: tuple[str, ...] = (), **files: Any
) -> Path:
    """A folder with modules of these kinds after the transformer."""
    (path / "1_Pooling").mkdir(parents=True)
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    modules = [
        {"path": f"{place}_{kind}" if place else "", "type": f"sentence_transformers.models.{kind}"}
        for place, kind in enumerate(("Transformer", *kinds))
    ]
    (path / "modules.json").write_text(json.dumps(modules))
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


MEAN = {"pooling_mode_mean_tokens": True}


def test_a_language_model_makes_no_vectors(tmp_path: Path) -> None:
    assert describe_embedding(tmp_path, {"model_type": "llama"}) is None


def test_a_bare_encoder_is_pooled_by_the_mean(tmp_path: Path) -> None:
    assert describe_embedding(tmp_path, BERT) == EmbeddingDescription("mean", normalize=True)


def test_the_folder_says_all_there_is_to_say(tmp_path: Path) -> None:
    path = folder(
        tmp_path / "m",
        pooling={"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False},
        kinds=("Pooling", "Normalize"),
        sentence_bert_config={"max_seq_length": 128},
        config_sentence_transformers={
            "prompts": {"query": "Find: ", "document": ""},
            "default_prompt_name": "query",
        },
    )

    described = describe_embedding(path, {"model_type": "qwen3"})

    assert described == EmbeddingDescription(
        "lasttoken",
        normalize=True,
        max_tokens=128,
        prompts={"query": "Find: ", "document": ""},
        default_prompt="Find: ",
    )
    assert described.prompt("query") == described.prompt(None) == "Find: "
    assert described.prompt("document") == described.prompt("unknown") == ""
    assert described.context_length({"max_position_embeddings": 512}) == 128


def test_a_newer_folder_names_its_pooling(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", pooling={"pooling_mode": "cls"}, kinds=("Pooling",))

    described = describe_embedding(path, BERT)

    assert described is not None
    assert (described.pooling, described.normalize) == ("cls", False)


@pytest.mark.parametrize(
    ("pooling", "kinds", "why"),
    [
        (MEAN, ("Pooling", "Dense"), "a part of the kind Dense"),
        (MEAN, ("Normalize",), "does not say how it pools"),
        (MEAN | {"pooling_mode_cls_token": True}, ("Pooling",), "cls and mean"),
        ({"pooling_mode_weightedmean_tokens": True}, ("Pooling",), "weightedmean"),
        ({}, ("Pooling",), "nothing"),
    ],
)
def test_what_cannot_be_computed_is_refused(
    tmp_path: Path, pooling: dict[str, Any], kinds: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ModelFormatError, match=why):
        describe_embedding(folder(tmp_path / "m", pooling=pooling, kinds=kinds), BERT)


def test_a_pooling_elsewhere_on_the_disk_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", pooling=MEAN, kinds=("Pooling",))
    modules = (path / "modules.json").read_text().replace("1_Pooling", "../../etc")
    (path / "modules.json").write_text(modules)

    with pytest.raises(ModelFormatError, match="leads out"):
        describe_embedding(path, BERT)


@pytest.mark.parametrize("content", ["{", "3", '["a"]', "[" * 100_000])
def test_a_damaged_list_of_modules_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "modules.json").write_text(content)

    with pytest.raises(ModelFormatError, match=r"modules\.json"):
        describe_embedding(tmp_path, BERT)


def test_a_classifier_is_neither(tmp_path: Path) -> None:
    config = BERT | {"architectures": ["BertForSequenceClassification"]}

    with pytest.raises(ModelFormatError, match="neither generates text nor"):
        describe_embedding(tmp_path, config)
