"""The Hugging Face Hub over the wire. The only package that imports huggingface_hub."""

from apps.discovery.hub.access import Access, check_repo_id
from apps.discovery.hub.fetching import Answer
from apps.discovery.hub.files import find, no_weights
from apps.discovery.hub.reaching import reach
from apps.discovery.hub.repositories import (
    DataRepository,
    Repository,
    Revision,
    data_repository,
    repository,
    revisions,
    small_file,
)
from apps.discovery.hub.searching import (
    DatasetListing,
    Listing,
    Query,
    Sort,
    search,
    search_datasets,
)
from apps.discovery.hub.transfer import Progress, Setback, Step, download
from apps.discovery.hub.uploading import Outgoing, create_repository, require_writable, upload

__all__ = [
    "Access",
    "Answer",
    "DataRepository",
    "DatasetListing",
    "Listing",
    "Outgoing",
    "Progress",
    "Query",
    "Repository",
    "Revision",
    "Setback",
    "Sort",
    "Step",
    "check_repo_id",
    "create_repository",
    "data_repository",
    "download",
    "find",
    "no_weights",
    "reach",
    "repository",
    "require_writable",
    "revisions",
    "search",
    "search_datasets",
    "small_file",
    "upload",
]
