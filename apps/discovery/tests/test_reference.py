"""Which texts name a repository, and which are words to search for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.discovery.listing import is_repo_id
from apps.discovery.reference import Reference, reference_in

ENDPOINT = "https://mirror.example:8443"
REPO = "mlx-community/Tiny-1B-4bit"


@pytest.mark.parametrize(
    ("text", "revision"),
    [
        (REPO, ""),
        (f"  {REPO}\n", ""),
        (f"https://huggingface.co/{REPO}", ""),
        (f"http://HuggingFace.co/{REPO}/", ""),
        (f"huggingface.co/{REPO}", ""),
        (f"hf.co/{REPO}", ""),
        (f"{ENDPOINT}/{REPO}?not-for-all-audiences=true#files", ""),
        (f"https://huggingface.co/{REPO}/tree/v1.0", "v1.0"),
        (f"https://huggingface.co/{REPO}/blob/main/config.json", "main"),
        (f"https://huggingface.co/{REPO}/tree/refs%2Fpr%2F1", "refs/pr/1"),
        (f"https://huggingface.co/{REPO}/discussions/3", ""),
        (f"hf://{REPO}", ""),
        (f"hf://models/{REPO}@v1", "v1"),
    ],
)
def test_names_and_addresses_are_understood(text: str, revision: str) -> None:
    assert reference_in(text, ENDPOINT) == Reference(REPO, revision)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "qwen",
        "qwen 4bit",
        "a/b/c",
        "../etc",
        "a/..",
        "a/b--c",
        "a/b.git",
        "-a/b",
        "a/b c",
        "https://evil.example/a/b",
        "https://huggingface.co.evil.example/a/b",
        "https://huggingface.co/datasets/a/b",
        "https://huggingface.co/a",
        "https://huggingface.co/a/..%2f..%2fb",
        "https://[half/a/b",
        "javascript://huggingface.co/a/b\nalert(1)",
        "a/" + "b" * 200,
    ],
)
def test_anything_else_is_words(text: str) -> None:
    assert reference_in(text, ENDPOINT) is None


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    named = reference_in(text, ENDPOINT)
    assert named is None or is_repo_id(named.repo_id)
