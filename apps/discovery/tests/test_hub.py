"""Looking a repository up, and who may: the real client library, against a hub on the loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from apps.discovery import errors, hub
from apps.discovery.snapshot import Snapshot
from apps.discovery.tests.conftest import KEPT, REPO, WEIGHTS, ignore
from apps.discovery.tests.hub_server import HubServer, closed_port


def test_a_look_up_names_what_a_model_needs_and_its_exact_size(
    snapshot: Snapshot, tiny_repo: dict[str, bytes], hub_server: HubServer
) -> None:
    assert {file.name for file in snapshot.files} == KEPT
    assert snapshot.size_bytes == sum(len(tiny_repo[name]) for name in KEPT)
    assert snapshot.files[0].name == "config.json"
    assert snapshot.files[-1].name == WEIGHTS
    assert len(hub_server.requests) == 1


def test_a_revision_can_be_named(
    tiny_repo: dict[str, bytes], access: hub.Access, snapshot: Snapshot
) -> None:
    assert hub.find(REPO, snapshot.commit, access) == snapshot
    with pytest.raises(errors.RepoNotFound, match="no such revision"):
        hub.find(REPO, "v9/../..", access)


@pytest.mark.parametrize(
    "repo_id", ["", "../etc", "a/b/c", "a b", "-x", "a..b", "https://huggingface.co/a/b", "a\n"]
)
def test_text_that_names_no_repository_is_refused_without_a_request(
    repo_id: str, access: hub.Access, hub_server: HubServer
) -> None:
    with pytest.raises(errors.InvalidRepoId, match="OWNER/NAME"):
        hub.find(repo_id, None, access)
    assert hub_server.requests == []


def test_an_unknown_repository_is_not_found(access: hub.Access) -> None:
    with pytest.raises(errors.RepoNotFound, match="acme/nothing is not on"):
        hub.find("acme/nothing", None, access)


def test_a_repository_of_gguf_files_says_how_to_import_one(
    hub_server: HubServer, access: hub.Access
) -> None:
    hub_server.add("acme/gguf", {"model-q4.gguf": b"GGUF", "config.json": b"{}"})
    with pytest.raises(errors.NoUsableWeights, match="mlx-hub import FILE"):
        hub.find("acme/gguf", None, access)


def test_a_repository_of_pickles_points_to_conversions(
    hub_server: HubServer, access: hub.Access
) -> None:
    hub_server.add("acme/old", {"pytorch_model.bin": b"a pickle", "config.json": b"{}"})
    with pytest.raises(errors.NoUsableWeights, match="mlx-community"):
        hub.find("acme/old", None, access)


def test_a_hub_that_is_not_there_is_unreachable() -> None:
    nowhere = hub.Access(endpoint=f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(errors.HubUnreachable, match="can't be reached"):
        hub.find(REPO, None, nowhere)


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"{}", b"[1]", b'{"id": "a/b"}'])
def test_a_sign_in_page_is_not_taken_for_the_hub(
    body: bytes, hub_server: HubServer, access: hub.Access
) -> None:
    hub_server.broken_info = (200, body)
    with pytest.raises(errors.HubUnreachable, match="did not answer as Hugging Face"):
        hub.find(REPO, None, access)


def test_a_hub_in_trouble_is_named_with_its_status(
    hub_server: HubServer, access: hub.Access
) -> None:
    hub_server.broken_info = (503, b"busy")
    with pytest.raises(errors.HubUnreachable, match="status 503"):
        hub.find(REPO, None, access)


def test_offline_mode_is_named(
    tiny_repo: dict[str, bytes], access: hub.Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(errors.HubUnreachable, match="HF_HUB_OFFLINE is set"):
        hub.find(REPO, None, access)


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (401, "Access to model acme/Tiny-Llama is restricted. Please log in.", errors.TokenNeeded),
        (
            403,
            "Access to model acme/Tiny-Llama is restricted and you are not in the authorized list.",
            errors.LicenceNotAccepted,
        ),
        (
            403,
            "Your request to access model acme/Tiny-Llama is awaiting a review.",
            errors.AccessPending,
        ),
        (
            403,
            "Your request to access model acme/Tiny-Llama has been rejected.",
            errors.AccessDenied,
        ),
    ],
)
def test_each_gate_has_its_own_error(
    status: int, message: str, expected: type[errors.AccessRefused],
    tiny_repo: dict[str, bytes], access: hub.Access, folder: Path, hub_server: HubServer,
) -> None:  # fmt: skip
    hub_server.gate(REPO, status=status, message=message)
    snapshot = hub.find(REPO, None, access)  # a gated listing can be read by everyone

    with pytest.raises(errors.AccessRefused) as raised:
        hub.download(snapshot, folder, access, ignore)

    assert type(raised.value) is expected
    assert hub_server.fetched() == ["config.json"]


def test_a_token_that_the_hub_rejects_is_told_from_a_missing_one(
    tiny_repo: dict[str, bytes], hub_server: HubServer
) -> None:
    hub_server.rejected_token = "hf_old"
    with pytest.raises(errors.TokenRejected, match="does not accept the access token"):
        hub.find(REPO, None, hub.Access(hub_server.endpoint, "hf_old"))


def test_the_token_goes_to_the_hub_and_to_no_other_host(
    tiny_repo: dict[str, bytes], folder: Path, hub_server: HubServer
) -> None:
    access = hub.Access(hub_server.endpoint, "hf_secret")
    hub.download(hub.find(REPO, None, access), folder, access, ignore)

    by_host = {seen.host.partition(":")[0]: seen.token for seen in hub_server.requests}
    assert by_host == {"127.0.0.1": "Bearer hf_secret", "localhost": None}


def test_a_token_does_not_show_when_access_is_printed() -> None:
    assert "hf_secret" not in repr(hub.Access("https://huggingface.co", "hf_secret"))
