"""A GGUF file into an mlx-lm model folder: the whole folder, or an error and nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tokenizers import Tokenizer

from apps.models.runtime.errors import ModelFormatError
from apps.models.runtime.gguf.config import ModelShape, build_config, read_shape
from apps.models.runtime.gguf.names import MappedTensor, map_tensors
from apps.models.runtime.gguf.reader import GGUFFile, GGUFTensor, read_gguf
from apps.models.runtime.gguf.tensors import AFFINE_BITS, Part, convert, parts, unpermute
from apps.models.runtime.gguf.tokenizer import write_tokenizer
from apps.models.runtime.gguf.vocabulary import Vocabulary, read_vocabulary
from apps.models.runtime.inspect import inspect_model
from apps.models.runtime.safetensors_writer import Entry, SafetensorsWriter
from apps.models.runtime.staging import require_space, staged_folder

Progress = Callable[[str, float], None]
"""Called with what is being done and how far along it is, from 0.0 to 1.0."""

CHUNK_BYTES = 16 * 1024 * 1024
"""GGUF bytes converted at a time."""

_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def import_gguf(source: Path, destination: Path, progress: Progress | None = None) -> None:
    """Convert the GGUF file ``source`` into the model folder ``destination``.

    The folder is one that ``mlx_lm.load`` takes as it is. Needs no MLX and holds
    no more than one matrix in memory. Raises ModelFormatError where the file is
    foreign, damaged or of an unsupported kind, ImportDestinationError where the
    folder exists or can't be written; then nothing is left behind.
    """
    report = progress or (lambda stage, fraction: None)
    report("reading", 0.0)
    file = read_gguf(source)
    shape = read_shape(file)
    mapped = map_tensors(file, shape)
    vocabulary = read_vocabulary(file, shape)
    config = build_config(file, shape, vocabulary.special_ids(), _layer_bits(mapped))
    with staged_folder(destination) as folder:
        _write_weights(file, mapped, folder, report)
        report("writing the tokenizer", 0.0)
        write_tokenizer(vocabulary, folder)
        _write_json(folder / "config.json", config)
        _write_json(folder / "generation_config.json", vocabulary.special_ids())
        _write_card(file, folder)
        report("checking", 0.0)
        _verify(folder, shape, vocabulary)


def _layer_bits(mapped: list[MappedTensor]) -> dict[str, int]:
    """Quantised layers with their bits per weight."""
    return {
        m.name.removesuffix(".weight"): AFFINE_BITS[m.source.type]
        for m in mapped
        if m.source.type in AFFINE_BITS
    }


def _write_weights(
    file: GGUFFile, mapped: list[MappedTensor], folder: Path, report: Progress
) -> None:
    tensors = [(m, parts(m.source.type, m.source.shape)) for m in mapped]
    entries = [Entry(_name(m, p), p.dtype, p.shape) for m, group in tensors for p in group]
    require_space(folder, sum(entry.nbytes for entry in entries))
    total = sum(m.source.nbytes for m in mapped)
    done = 0
    with (
        _opened(file.path) as stream,
        SafetensorsWriter(folder / "model.safetensors", entries) as writer,
    ):
        for m, group in tensors:
            for array in _arrays(stream, m, group):
                writer.write(array)
            done += m.source.nbytes
            report("converting weights", done / total)


def _name(mapped: MappedTensor, part: Part) -> str:
    if not part.suffix:
        return mapped.name
    return f"{mapped.name.removesuffix('.weight')}.{part.suffix}"


def _arrays(
    stream: BinaryIO, mapped: MappedTensor, group: tuple[Part, ...]
) -> Iterator[np.ndarray]:
    """The tensor's bytes in the order of ``group``: weights as they come, scales after them."""
    rest: list[list[np.ndarray]] = [[] for _ in group[1:]]
    for rows in _rows(stream, mapped):
        weight, *others = convert(mapped.source.type, rows)
        yield weight
        for kept, other in zip(rest, others, strict=True):
            kept.append(other)
    for kept in rest:
        yield from kept


def _rows(stream: BinaryIO, mapped: MappedTensor) -> Iterator[np.ndarray]:
    """The tensor's rows as raw bytes, in chunks; all at once where they change places."""
    tensor = mapped.source
    if mapped.rope_heads:
        yield unpermute(_read_rows(stream, tensor, 0, tensor.rows), mapped.rope_heads)
        return
    step = max(1, CHUNK_BYTES // tensor.row_bytes)
    for start in range(0, tensor.rows, step):
        yield _read_rows(stream, tensor, start, min(start + step, tensor.rows))


def _read_rows(stream: BinaryIO, tensor: GGUFTensor, start: int, stop: int) -> np.ndarray:
    count = (stop - start) * tensor.row_bytes
    try:
        stream.seek(tensor.offset + start * tensor.row_bytes)
        data = stream.read(count)
    except OSError as error:
        raise _unreadable(str(error)) from error
    if len(data) != count:
        raise _unreadable("it became shorter while it was read")
    return np.frombuffer(data, np.uint8).reshape(stop - start, tensor.row_bytes)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(str(error)) from error


def _unreadable(why: str) -> ModelFormatError:
    return ModelFormatError(f"The GGUF file could not be read: {why}. Download it again.")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_card(file: GGUFFile, folder: Path) -> None:
    """A model card that carries the licence on, where the file names one."""
    license_ = file.metadata.get("general.license")
    if isinstance(license_, str) and _LICENSE.fullmatch(license_):
        card = f"---\nlicense: {license_}\n---\n\nImported from a GGUF file by MLX Model Hub.\n"
        (folder / "README.md").write_text(card, encoding="utf-8")


def _verify(folder: Path, shape: ModelShape, vocabulary: Vocabulary) -> None:
    """Read back what was written, as its later users will. Raises ModelFormatError."""
    facts = inspect_model(folder)
    if facts.architecture != shape.model_type or facts.context_length != shape.context:
        raise ModelFormatError(
            "The imported model does not read back as what was written; the disk may be faulty. "
            "Try again, or choose another disk."
        )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for id_, token in enumerate(vocabulary.tokens):
        if tokenizer.token_to_id(token) != id_:
            raise ModelFormatError(
                f"The GGUF file's token {token[:60]!r} can't keep its place in a tokenizer. It is "
                "damaged; download it again."
            )
