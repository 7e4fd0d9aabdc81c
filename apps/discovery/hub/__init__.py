"""The Hugging Face Hub over the wire. The only package that imports huggingface_hub."""

from apps.discovery.hub.access import Access, check_repo_id
from apps.discovery.hub.fetching import Answer
from apps.discovery.hub.files import find, no_weights
from apps.discovery.hub.repositories import (
    Repository,
    Revision,
    repository,
    revisions,
    small_file,
)
from apps.discovery.hub.searching import Listing, Query, Sort, search
from apps.discovery.hub.transfer import Progress, Setback, Step, download

__all__ = [
    "Access",
    "Answer",
    "Listing",
    "Progress",
    "Query",
    "Repository",
    "Revision",
    "Setback",
    "Sort",
    "Step",
    "check_repo_id",
    "download",
    "find",
    "no_weights",
    "repository",
    "revisions",
    "search",
    "small_file",
]
