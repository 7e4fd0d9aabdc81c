"""A repository's files: the real client library, against a hub on the loopback."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from apps.discovery import errors, hub
from apps.discovery.snapshot import Snapshot
from apps.discovery.tests.conftest import KEPT, REPO, WEIGHTS, ignore
from apps.discovery.tests.hub_server import Failure, HubServer


def test_a_download_brings_the_files_and_nothing_else(
    snapshot: Snapshot, tiny_repo: dict[str, bytes], access: hub.Access, folder: Path
) -> None:
    hub.download(snapshot, folder, access, ignore)

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: tiny_repo[name] for name in KEPT
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
    tiny_repo: dict[str, bytes], hub_server: HubServer
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
    tiny_repo: dict[str, bytes], snapshot: Snapshot, access: hub.Access, folder: Path,
    hub_server: HubServer,
) -> None:  # fmt: skip
    hub.download(snapshot, folder, access, ignore)
    (folder / f".{'0' * 40}.part").write_bytes(b"begun and given up")
    (folder / "left").mkdir()
    changed = {name: tiny_repo[name] for name in KEPT - {"LICENSE"}} | {"README.md": b"# New\n"}
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
