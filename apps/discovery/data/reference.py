"""A dataset that somebody named: its id, the address of a page, or ``hf:`` and its parts."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from apps.discovery.errors import InvalidRepoId
from apps.discovery.listing import is_repo_id

PREFIX = "hf:"
_HOSTS = {"huggingface.co", "www.huggingface.co", "hf.co"}


@dataclass(frozen=True)
class DataReference:
    """A dataset, and what is wanted of it where that is named."""

    repo_id: str
    config: str = ""
    splits: tuple[str, ...] = ()


def data_reference(text: str) -> DataReference:
    """``hf:OWNER/NAME[:CONFIG][/SPLIT,SPLIT]`` taken apart. Raises InvalidRepoId."""
    parts = text.removeprefix(PREFIX).split("/")
    if len(parts) not in (2, 3):
        raise _unreadable(text)
    name, _, config = parts[1].partition(":")
    repo_id = f"{parts[0]}/{name}"
    if not is_repo_id(repo_id):
        raise _unreadable(text)
    splits = tuple(filter(None, parts[2].split(","))) if len(parts) == 3 else ()
    return DataReference(repo_id, config, splits)


def dataset_in(text: str, endpoint: str) -> str:
    """The dataset that ``text`` names, as an id or an address; empty where it is words."""
    text = text.strip().removeprefix(PREFIX).removeprefix("//")
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        host = url.netloc.rpartition("@")[2].lower()
    except ValueError:  # such as half an IPv6 address
        return ""
    if host in _HOSTS | {urlsplit(endpoint).netloc.lower()}:
        text = unquote(url.path)
    parts = [part for part in text.split("/") if part]
    repo_id = "/".join(parts[1:3] if parts[:1] == ["datasets"] else parts[:2])
    named = parts[:1] == ["datasets"] or len(parts) == 2
    return repo_id if named and is_repo_id(repo_id) else ""


def _unreadable(text: str) -> InvalidRepoId:
    return InvalidRepoId(
        f"{text!r} names no dataset on Hugging Face. Name one as hf:OWNER/NAME, and a part of it as "
        "hf:OWNER/NAME:CONFIG/SPLIT, for example hf:HuggingFaceH4/ultrachat_200k/train_sft."
    )
