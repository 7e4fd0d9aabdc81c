"""Which hub is asked, and as whom; and what may be the name of a repository."""

from __future__ import annotations

from dataclasses import dataclass, field

from huggingface_hub import constants, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from apps.discovery import errors

# The library would name the software around it to the hub, and ask the hub
# what to look for. The people who pull a model did not agree to either.
constants.HF_HUB_DISABLE_TELEMETRY = True


@dataclass(frozen=True)
class Access:
    """Which hub, and as whom."""

    endpoint: str
    """Base address, such as "https://huggingface.co"."""
    token: str | None = field(default=None, repr=False)
    """None: the one that `hf auth login` stored, if there is one."""
    offline: bool = False
    """Whether nothing is to be asked of it."""

    @property
    def has_token(self) -> bool:
        """Whether it is known who asks."""
        return bool(self.token or get_token())

    @property
    def headers(self) -> dict[str, str]:
        token = self.token or get_token()
        headers = {"Accept-Encoding": "identity"}  # sizes and ranges count the file's own bytes
        return headers | ({"authorization": f"Bearer {token}"} if token else {})


def check_repo_id(repo_id: str) -> None:
    """Raises InvalidRepoId for text that no repository can be called."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise errors.InvalidRepoId(
            f"{repo_id!r} can't be a repository on Hugging Face. Name one as OWNER/NAME, "
            "for example mlx-community/Qwen2.5-0.5B-Instruct-4bit."
        ) from error
