"""mlx-lm's own server: on the same weights with the same BLAS, or as it is installed.

`python -m benchmarks.mlx_lm_server FOLDER PORT` prepares the accelerator as the
hub does, writes the weights as the hub's engine holds them to a temporary
folder, and serves that.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.client import ChatServer
from benchmarks.dense_weights import write_as_held
from tests.hub_process import until


@contextmanager
def mlx_lm_server(model: Path, *, as_installed: bool = False) -> Iterator[ChatServer]:
    """``as_installed``: without our choice of BLAS and precision."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ours = ["benchmarks.mlx_lm_server", str(model), str(port)]
    plain = ["mlx_lm", "server", "--model", str(model), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *(plain if as_installed else ours)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: _answers(port), seconds=120)
        server = ChatServer(port, "default_model")
        server.ask([{"role": "user", "content": "Hello"}], max_tokens=4)
        yield server
    finally:
        process.terminate()
        process.wait(60)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _serve(model: Path, port: str) -> None:
    from apps.models.runtime import accelerator

    profile = accelerator.prepare()
    with tempfile.TemporaryDirectory() as folder:
        write_as_held(model, Path(folder), profile)
        from mlx_lm import server

        sys.argv = ["server", "--model", folder, "--port", port, "--log-level", "ERROR"]
        server.main()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), sys.argv[2])
