"""Look-up and download with the real client library, against a hub on the loopback."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from huggingface_hub import constants

from apps.discovery import errors, hub
from apps.discovery.snapshot import Snapshot
from apps.discovery.tests.conftest import KEPT, REPO
from apps.discovery.tests.hub_server import Failure, HubServer, closed_port

WEIGHTS = "model.safetensors"


def ignore(step: hub.Step) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def tiny(hub_server: HubServer, tiny_files: dict[str, bytes]) -> dict[str, bytes]:
    hub_server.add(REPO, tiny_files)
    return tiny_files


@pytest.fixture
def snapshot(tiny: dict[str, bytes], access: hub.Access) -> Snapshot:
    return hub.find(REPO, None, access)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "download"
    path.mkdir()
    return path


# --- looking up ------------------------------------------------------------------


def test_a_look_up_names_what_a_model_needs_and_its_exact_size(
    snapshot: Snapshot, tiny: dict[str, bytes], hub_server: HubServer
) -> None:
    assert {file.name for file in snapshot.files} == KEPT
    assert snapshot.size_bytes == sum(len(tiny[name]) for name in KEPT)
    assert snapshot.files[0].name == "config.json"
    assert snapshot.files[-1].name == WEIGHTS
    assert len(hub_server.requests) == 1


def test_a_revision_can_be_named(
    tiny: dict[str, bytes], access: hub.Access, snapshot: Snapshot
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
    tiny: dict[str, bytes], access: hub.Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(errors.HubUnreachable, match="HF_HUB_OFFLINE is set"):
        hub.find(REPO, None, access)


# --- downloading -----------------------------------------------------------------


def test_a_download_brings_the_files_and_nothing_else(
    snapshot: Snapshot, tiny: dict[str, bytes], access: hub.Access, folder: Path
) -> None:
    hub.download(snapshot, folder, access, ignore)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: tiny[name] for name in KEPT
    }


def test_pickles_and_code_are_not_even_asked_for(
    snapshot: Snapshot, access: hub.Access, folder: Path, hub_server: HubServer
) -> None:
    hub.download(snapshot, folder, access, ignore)

    assert set(hub_server.fetched()) == KEPT


def test_progress_only_grows_and_ends_at_the_total(
    snapshot: Snapshot, access: hub.Access, folder: Path
) -> None:
    counts: list[int] = []
    hub.download(snapshot, folder, access, lambda step: counts.append(step.done))

    assert counts == sorted(counts)
    assert counts[-1] == snapshot.size_bytes
    assert len(set(counts)) > 10  # the weights come in pieces


def test_a_body_that_breaks_off_is_continued_where_the_caller_tries_again(
    snapshot: Snapshot, access: hub.Access, folder: Path, hub_server: HubServer
) -> None:
    setbacks: list[tuple[str, bool]] = []

    def heal(error: errors.DiscoveryError, advanced: bool) -> None:
        setbacks.append((type(error).__name__, advanced))
        hub_server.cut.clear()

    hub_server.cut[WEIGHTS] = 50_000
    hub.download(snapshot, folder, access, ignore, heal)

    assert setbacks == [("HubUnreachable", True)]
    first, second = hub_server.starts(WEIGHTS)
    assert first == 0
    assert 40_000 < second <= 50_000
    assert snapshot.missing_bytes(folder) == 0


def test_what_came_over_the_network_is_told_apart_from_what_was_here(
    snapshot: Snapshot, access: hub.Access, folder: Path
) -> None:
    hub.download(snapshot, folder, access, ignore)
    (folder / "config.json").unlink()
    steps: list[hub.Step] = []

    hub.download(snapshot, folder, access, steps.append)

    assert steps[-1].done == snapshot.size_bytes
    assert steps[-1].received == snapshot.files[0].size
    assert [step.file.name for step in steps if not step.received] == ["config.json"]


def test_a_server_without_ranges_sends_the_file_anew(
    snapshot: Snapshot, access: hub.Access, folder: Path, hub_server: HubServer
) -> None:
    (folder / snapshot.files[-1].part_name).write_bytes(b"whatever came before")
    hub_server.ranges = False

    hub.download(snapshot, folder, access, ignore)

    assert snapshot.files[-1].is_content_of(folder / WEIGHTS)


def test_more_bytes_than_promised_are_not_taken(
    snapshot: Snapshot, access: hub.Access, folder: Path, hub_server: HubServer
) -> None:
    size = snapshot.files[-1].size
    hub_server.forged[WEIGHTS] = bytes(10 * size)

    with pytest.raises(errors.DownloadDamaged):
        hub.download(snapshot, folder, access, ignore)

    assert sum(path.stat().st_size for path in folder.glob(".*.part")) <= size


def test_files_kept_in_xet_storage_come_by_the_plain_way(
    snapshot: Snapshot, access: hub.Access, folder: Path, hub_server: HubServer
) -> None:
    hub_server.xet = True

    hub.download(snapshot, folder, access, ignore)

    assert snapshot.missing_bytes(folder) == 0
    assert not [seen.path for seen in hub_server.requests if "xet" in seen.path]


@pytest.mark.parametrize(
    ("failure", "passing", "retry_after"),
    [
        (Failure(500), True, None),
        (Failure(503, {"Retry-After": "7"}), True, 7.0),
        (Failure(429, {"Retry-After": "120"}), True, 120.0),
        (Failure(429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), True, None),
        (Failure(410), False, None),
    ],
)
def test_a_failure_says_whether_and_when_to_try_again(
    failure: Failure, passing: bool, retry_after: float | None,
    snapshot: Snapshot, access: hub.Access, folder: Path, hub_server: HubServer,
) -> None:  # fmt: skip
    hub_server.fail(WEIGHTS, failure)

    with pytest.raises(errors.HubUnreachable, match=f"status {failure.status}") as raised:
        hub.download(snapshot, folder, access, ignore)

    assert (raised.value.passing, raised.value.retry_after) == (passing, retry_after)


def test_a_private_repository_is_not_there_without_its_token(
    tiny: dict[str, bytes], hub_server: HubServer
) -> None:
    hub_server.repos[REPO].private_to = "hf_mine"
    with pytest.raises(errors.RepoNotFound, match="set HF_TOKEN"):
        hub.find(REPO, None, hub.Access(hub_server.endpoint))

    assert hub.find(REPO, None, hub.Access(hub_server.endpoint, "hf_mine")).is_model


def test_a_connection_that_keeps_breaking_leaves_what_arrived_for_the_next_call(
    snapshot: Snapshot, access: hub.Access, folder: Path, hub_server: HubServer
) -> None:
    with (
        hub_server.cut_off(WEIGHTS, after=50_000),
        pytest.raises(errors.HubUnreachable, match="goes on from where it stopped"),
    ):
        hub.download(snapshot, folder, access, ignore)
    left = snapshot.missing_bytes(folder)
    assert 0 < left < snapshot.size_bytes - 40_000
    hub_server.served.clear()

    hub.download(snapshot, folder, access, ignore)

    assert [name for name, _ in hub_server.served] == [WEIGHTS]
    assert hub_server.starts(WEIGHTS) == [snapshot.files[-1].size - left]


CHILD = """
import sys
from pathlib import Path
from apps.discovery import hub
from apps.discovery.hub import transfer
transfer.PIECE = 4096
access = hub.Access(endpoint=sys.argv[1])
snapshot = hub.find(sys.argv[2], None, access)
hub.download(snapshot, Path(sys.argv[3]), access, lambda step: print(step.done, flush=True))
"""


def test_after_a_kill_the_next_process_goes_on_in_mid_file(
    snapshot: Snapshot, access: hub.Access, folder: Path, hub_server: HubServer
) -> None:
    released = threading.Event()
    hub_server.hold[WEIGHTS] = (50_000, released)
    before = snapshot.size_bytes - snapshot.files[-1].size
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, hub_server.endpoint, REPO, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        for line in child.stdout or ():
            if int(line) > before + 40_000:
                break
        child.kill()
    released.set()
    hub_server.hold.clear()
    hub_server.served.clear()

    hub.download(snapshot, folder, access, ignore)

    assert [name for name, _ in hub_server.served] == [WEIGHTS]
    # Told of 40,000 bytes; the last piece and the file's buffer died with the process.
    assert hub_server.starts(WEIGHTS)[0] > 20_000
    assert snapshot.files[-1].is_content_of(folder / WEIGHTS)


def test_damaged_content_is_refused_and_fetched_anew(
    snapshot: Snapshot, access: hub.Access, folder: Path, hub_server: HubServer
) -> None:
    hub_server.forged[WEIGHTS] = bytes(snapshot.files[-1].size)
    with pytest.raises(errors.DownloadDamaged, match="arrived damaged"):
        hub.download(snapshot, folder, access, ignore)
    hub_server.forged.clear()

    hub.download(snapshot, folder, access, ignore)

    assert snapshot.files[-1].is_content_of(folder / WEIGHTS)


def test_another_revision_takes_over_what_is_equal_and_clears_the_rest(
    tiny: dict[str, bytes], snapshot: Snapshot, access: hub.Access, folder: Path,
    hub_server: HubServer,
) -> None:  # fmt: skip
    hub.download(snapshot, folder, access, ignore)
    (folder / f".{'0' * 40}.part").write_bytes(b"begun and given up")
    (folder / "left").mkdir()
    changed = {name: tiny[name] for name in KEPT - {"LICENSE"}} | {"README.md": b"# New\n"}
    hub_server.add(REPO, changed)
    hub_server.served.clear()

    hub.download(hub.find(REPO, None, access), folder, access, ignore)

    assert [name for name, _ in hub_server.served] == ["README.md"]
    assert {path.name for path in folder.iterdir()} == KEPT - {"LICENSE"}


def test_a_full_disk_is_named(
    snapshot: Snapshot, access: hub.Access, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("apps.discovery.hub.transfer.get_session", full)
    with pytest.raises(errors.NotEnoughDisk, match="disk is full"):
        hub.download(snapshot, folder, access, ignore)


def test_a_folder_in_the_way_is_an_error_of_ours(
    snapshot: Snapshot, access: hub.Access, folder: Path
) -> None:
    (folder / "config.json").mkdir()
    with pytest.raises(errors.NotWritable, match=r"config\.json"):
        hub.download(snapshot, folder, access, ignore)


# --- access ----------------------------------------------------------------------


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
    tiny: dict[str, bytes], access: hub.Access, folder: Path, hub_server: HubServer,
) -> None:  # fmt: skip
    hub_server.gate(REPO, status=status, message=message)
    snapshot = hub.find(REPO, None, access)  # a gated listing can be read by everyone

    with pytest.raises(errors.AccessRefused) as raised:
        hub.download(snapshot, folder, access, ignore)

    assert type(raised.value) is expected
    assert hub_server.fetched() == ["config.json"]


def test_a_token_that_the_hub_rejects_is_told_from_a_missing_one(
    tiny: dict[str, bytes], hub_server: HubServer
) -> None:
    hub_server.rejected_token = "hf_old"
    with pytest.raises(errors.TokenRejected, match="does not accept the access token"):
        hub.find(REPO, None, hub.Access(hub_server.endpoint, "hf_old"))


def test_the_token_goes_to_the_hub_and_to_no_other_host(
    tiny: dict[str, bytes], folder: Path, hub_server: HubServer
) -> None:
    access = hub.Access(hub_server.endpoint, "hf_secret")
    hub.download(hub.find(REPO, None, access), folder, access, ignore)

    by_host = {seen.host.partition(":")[0]: seen.token for seen in hub_server.requests}
    assert by_host == {"127.0.0.1": "Bearer hf_secret", "localhost": None}


def test_a_token_does_not_show_when_access_is_printed() -> None:
    assert "hf_secret" not in repr(hub.Access("https://huggingface.co", "hf_secret"))
