"""What can be said of a text without its model's weights, on threads of its own.

Tokens of texts, texts of tokens, and the inputs of embedding calls before they reach the
engine's thread: a long text takes a tokenizer seconds, and answers must not wait for it.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from apps.inference.engine import protocol
from apps.inference.engine.errors import (
    ContextLengthExceeded,
    EngineFault,
    InvalidRequest,
    LoadFailed,
    defect,
)
from apps.inference.engine.sequence import Call
from apps.inference.engine.text.chat import ChatFormatter
from apps.inference.engine.text.vocabulary import Vocabulary
from apps.inference.engine.tokens import Tokens
from apps.models.runtime.errors import RuntimeFault
from apps.models.runtime.tokenizing import FolderTokenizer, load_folder_tokenizer

logger = logging.getLogger(__name__)

_KEPT = 4
"""Tokenizers held; each takes some tens of megabytes."""

_THREADS = 2

TextRequest = protocol.Tokenize | protocol.Detokenize | protocol.Embed


@dataclass(eq=False)
class _Reader:
    """One model's tokenizer with what is made from it."""

    folder: FolderTokenizer
    vocabulary: Vocabulary
    formatter: ChatFormatter
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while the formatter is used; the tokenizer itself needs none."""


class TextService:
    def __init__(self, forward: Callable[[protocol.Request, Call], None]) -> None:
        """``forward`` takes embedding calls on, their inputs made tokens."""
        self._forward = forward
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="texts")
        self._lock = threading.Lock()
        self._readers: OrderedDict[str, _Reader] = OrderedDict()

    def take(self, request: TextRequest, call: Call) -> None:
        """Answer a call; from any thread."""
        self._threads.submit(self._take, request, call)

    def close(self) -> None:
        """Finish what was taken."""
        self._threads.shutdown()

    def _take(self, request: TextRequest, call: Call) -> None:
        if call.cancelled:
            return
        try:
            reader = self._reader(request.model)
            match request:
                case protocol.Tokenize():
                    call.emit(_tokens(reader, request))
                case protocol.Detokenize():
                    call.emit(_text(reader, request))
                case protocol.Embed():
                    self._forward(_prepared(reader, request), call)
        except EngineFault as fault:
            call.emit(fault.event())
        except Exception:  # a bad text must not end the thread's work
            logger.exception("request %s failed", request.op)
            call.emit(defect())

    def _reader(self, spec: protocol.ModelSpec) -> _Reader:
        with self._lock:
            reader = self._readers.get(spec.digest)
            if reader is None:
                reader = _read(spec)
                self._readers[spec.digest] = reader
            self._readers.move_to_end(spec.digest)
            while len(self._readers) > _KEPT:
                self._readers.popitem(last=False)
            return reader


def _read(spec: protocol.ModelSpec) -> _Reader:
    try:
        folder = load_folder_tokenizer(Path(spec.path))
    except RuntimeFault as error:
        raise LoadFailed(f"{spec.name}'s tokenizer could not be read: {error}") from error
    return _Reader(folder, Vocabulary(folder.tokenizer), ChatFormatter(folder.tokenizer))


def _tokens(reader: _Reader, request: protocol.Tokenize) -> protocol.Tokens:
    if request.text is not None:
        # As a batch: encoding one text alone keeps the interpreter lock meanwhile.
        (encoded,) = reader.folder.backend.encode_batch_fast(
            [request.text], add_special_tokens=request.add_special_tokens
        )
        tokens = tuple(encoded.ids)
    else:
        with reader.lock:
            prompt = reader.formatter.prompt(
                request.messages, tools=request.tools, options=request.template_options
            )
        tokens = prompt.tokens
    # Of a long text most tokens come more than once.
    spelled = {token: _spelled(reader, token) for token in set(tokens)}
    return protocol.Tokens(tokens=tokens, strings=tuple(spelled[token] for token in tokens))


def _spelled(reader: _Reader, token: int) -> str:
    try:
        return reader.vocabulary.bytes_of(token).decode()
    except UnicodeDecodeError:
        return str(reader.folder.backend.id_to_token(token))


def _text(reader: _Reader, request: protocol.Detokenize) -> protocol.Text:
    _require_known(reader, request.tokens, "tokens")
    text = reader.folder.backend.decode(list(request.tokens), skip_special_tokens=False)
    return protocol.Text(text=text)


def _prepared(reader: _Reader, request: protocol.Embed) -> protocol.Embed:
    """The call with tokens for its texts. Raises InvalidRequest or ContextLengthExceeded."""
    embedding = reader.folder.embedding
    if embedding is None:
        raise InvalidRequest(
            f"{request.model.name} generates text and makes no vectors. Name an embedding model."
        )
    prompt = embedding.prompt(request.input_kind)
    limit = reader.folder.context_length
    inputs = []
    for index, given in enumerate(request.inputs):
        if isinstance(given, str):
            tokens = _encoded(
                reader, prompt + given, request.max_tokens and min(limit, request.max_tokens)
            )
        else:
            _require_known(reader, given, f"input[{index}]")
            tokens = given[: request.max_tokens]
        inputs.append(_fitting(tokens, index, request.model.name, limit))
    return request.model_copy(update={"inputs": tuple(inputs)})


def _encoded(reader: _Reader, text: str, cut: int | None) -> Tokens:
    """The tokens of a text with the special ones around it, cut to so many."""
    backend = reader.folder.backend
    (encoded,) = backend.encode_batch_fast([text], add_special_tokens=False)
    if cut is not None:
        encoded.truncate(max(0, cut - backend.num_special_tokens_to_add(is_pair=False)))
    return tuple(backend.post_process(encoded, add_special_tokens=True).ids)


def _fitting(tokens: Tokens, index: int, model: str, limit: int) -> Tokens:
    if not tokens:
        raise InvalidRequest(f"input[{index}] has no tokens. Leave it out.")
    if len(tokens) > limit:
        raise ContextLengthExceeded(
            f"input[{index}] has {len(tokens)} tokens; {model} takes at most {limit}. "
            "Split it, or let it be cut with truncate_prompt_tokens."
        )
    return tokens


def _require_known(reader: _Reader, tokens: Tokens, where: str) -> None:
    size = len(reader.vocabulary)
    for token in tokens:
        if not 0 <= token < size:
            raise InvalidRequest(
                f"{where}: {token} is no token of this model; they are 0 to {size - 1}."
            )
