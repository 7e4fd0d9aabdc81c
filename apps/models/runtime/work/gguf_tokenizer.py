"""A byte-level tokenizer.json as GGUF's metadata: what ``runtime.gguf`` reads, written.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.pretokenizers import KNOWN, PreTokenization
from apps.models.runtime.headers import read_json, read_text

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""``gguf.TokenType``."""


@dataclass(frozen=True)
class TokenizerData:
    """What goes into the metadata."""

    pre: str
    tokens: list[str]
    """By id, filled up to the rows of the embedding."""
    types: list[int]
    merges: list[str]
    bos: int | None
    eos: int | None
    add_bos: bool
    chat_template: str


def read_tokenizer(folder: Path, rows: int) -> TokenizerData:
    """The tokenizer of a model folder whose embedding has ``rows`` rows.

    Raises ModelFormatError where it is no byte-level BPE with a cut that GGUF has a name for.
    """
    content = read_json(folder / "tokenizer.json")
    settings_file = folder / "tokenizer_config.json"
    settings = read_json(settings_file) if settings_file.exists() else {}
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE" or model.get("byte_fallback"):
        raise _unsupported("is no byte-level BPE")
    tokens, types = _tokens(model, content.get("added_tokens") or [], rows)
    ids = {token: id_ for id_, token in enumerate(tokens)}
    return TokenizerData(
        pre=_name_of(content, bool(model.get("ignore_merges"))),
        tokens=tokens,
        types=types,
        merges=[m if isinstance(m, str) else " ".join(m) for m in model.get("merges") or []],
        bos=ids.get(_text(settings.get("bos_token"))),
        eos=ids.get(_text(settings.get("eos_token"))),
        add_bos=_adds_bos(content, settings),
        chat_template=_template(folder, settings),
    )


def _tokens(
    model: dict[str, Any], added: list[dict[str, Any]], rows: int
) -> tuple[list[str], list[int]]:
    named = {id_: token for token, id_ in model["vocab"].items()}
    special = {each["id"]: bool(each.get("special")) for each in added}
    named |= {each["id"]: each["content"] for each in added}
    if max(named, default=0) >= rows:
        raise _unsupported("has more tokens than the model has embeddings")
    tokens = [named.get(id_, f"[PAD{id_}]") for id_ in range(rows)]
    types = []
    for id_ in range(rows):
        if id_ in special:
            types.append(CONTROL if special[id_] else USER_DEFINED)
        else:
            types.append(NORMAL if id_ in named else UNUSED)
    return tokens, types


def _name_of(content: dict[str, Any], whole_words: bool) -> str:
    """GGUF's name for how the tokenizer cuts text into words. Raises ModelFormatError."""
    patterns, single_digits = _cuts(content.get("pre_tokenizer") or {})
    composes = "NFC" in str(content.get("normalizer"))
    wanted = PreTokenization(
        patterns=patterns, single_digits=single_digits, compose=composes, whole_words=whole_words
    )
    for name, known in KNOWN.items():
        alike = (known.patterns, known.single_digits, known.compose, known.whole_words)
        if alike == (wanted.patterns, single_digits, composes, whole_words):
            return name
    raise _unsupported("cuts words in a way that GGUF has no name for")


def _cuts(pre_tokenizer: dict[str, Any]) -> tuple[tuple[str, ...], bool]:
    """The patterns that text is cut by, and whether digits stand alone."""
    steps = pre_tokenizer.get("pretokenizers") or [pre_tokenizer]
    patterns = [
        step["pattern"]["Regex"]
        for step in steps
        if step.get("type") == "Split" and "Regex" in step.get("pattern", {})
    ]
    digits = any(s.get("type") == "Digits" and s.get("individual_digits") for s in steps)
    if not any(step.get("type") == "ByteLevel" for step in steps):
        raise _unsupported("is no byte-level BPE")
    return tuple(patterns), digits


def _adds_bos(content: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether a text is begun with the begin-of-text token."""
    if isinstance(told := settings.get("add_bos_token"), bool):
        return told
    post = content.get("post_processor") or {}
    steps = post.get("processors") or [post]
    templates = [step for step in steps if step.get("type") == "TemplateProcessing"]
    return any("SpecialToken" in step["single"][0] for step in templates if step.get("single"))


def _template(folder: Path, settings: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    if file.exists():
        return read_text(file)
    found = settings.get("chat_template")
    return found if isinstance(found, str) else ""


def _text(token: Any) -> str:
    """A token as tokenizer_config.json writes it: bare, or an object with its content."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""


def _unsupported(why: str) -> ModelFormatError:
    return ModelFormatError(
        f"The model's tokenizer {why}, so it can't be written as GGUF without garbling text. "
        "Export the folder instead, and convert it with llama.cpp's own script."
    )
