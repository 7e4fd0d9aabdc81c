"""A tracking server on loopback that keeps runs as MLflow's REST API has it.

It takes what it is told twice as often as it comes, as MLflow's folder store does.
https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

PREFIX = "/api/2.0/mlflow/"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


class Refusal(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class MlflowServer:
    """``runs`` by id, ``files`` by path. A test may hold answers up or lose them."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.authorization: set[str] = set()
        self.lose_answer_to: set[str] = set()
        """Paths whose next request is carried out and not answered."""
        self.refuse: dict[str, Refusal] = {}
        self.answers = threading.Event()
        """Cleared: requests wait."""
        self.answers.set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def only_run(self) -> dict[str, Any]:
        (run,) = self.runs.values()
        return run

    def steps(self, name: str) -> list[int]:
        return [each["step"] for each in self.only_run()["history"] if each["key"] == name]

    @contextmanager
    def up(self) -> Iterator[MlflowServer]:
        """Answer at ``url``, which stays the same when it is up again."""
        server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    # --- the API ------------------------------------------------------------------

    def get_experiments_get_by_name(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["experiment_name"]
        if name not in self.experiments:
            raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", "No such experiment")
        return {"experiment": self._experiment(name)}

    def post_experiments_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.experiments[asked["name"]] = str(len(self.experiments) + 1)
        return {"experiment_id": self.experiments[asked["name"]]}

    def post_runs_search(self, asked: dict[str, Any]) -> dict[str, Any]:
        key = asked["filter"].split("'")[1]
        found = [self._run(each) for each, run in self.runs.items() if key in run["tags"].values()]
        return {"runs": found}

    def post_runs_create(self, asked: dict[str, Any]) -> dict[str, Any]:
        key = f"{len(self.runs) + 1:032x}"
        tags = {each["key"]: each["value"] for each in asked.get("tags", ())}
        self.runs[key] = {
            "name": asked.get("run_name"), "tags": tags, "params": {}, "history": [],
            "status": "RUNNING", "inputs": [], "start_time": asked["start_time"],
        }  # fmt: skip
        return {"run": self._run(key)}

    def get_runs_get(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"run": self._run(asked["run_id"])}

    def post_runs_log_batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[asked["run_id"]]
        run["history"] += asked.get("metrics", ())
        run["tags"] |= {each["key"]: each["value"] for each in asked.get("tags", ())}
        for each in asked.get("params", ()):
            if run["params"].setdefault(each["key"], each["value"]) != each["value"]:
                raise Refusal(400, "INVALID_PARAMETER_VALUE", "A parameter can't change")
        return {}

    def post_runs_log_inputs(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.runs[asked["run_id"]]["inputs"] = asked["datasets"]
        return {}

    def post_runs_update(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[asked["run_id"]]
        run["status"] = asked["status"]
        run["end_time"] = asked.get("end_time")
        return {"run_info": self._run(asked["run_id"])["info"]}

    def get_metrics_get_history(self, asked: dict[str, Any]) -> dict[str, Any]:
        history = self.runs[asked["run_id"]]["history"]
        return {"metrics": [each for each in history if each["key"] == asked["metric_key"]]}

    # --- what is around it --------------------------------------------------------

    def _experiment(self, name: str) -> dict[str, Any]:
        return {
            "experiment_id": self.experiments[name],
            "name": name,
            "lifecycle_stage": "active",
            "artifact_location": f"mlflow-artifacts:/{self.experiments[name]}",
        }

    def _run(self, key: str) -> dict[str, Any]:
        run = self.runs[key]
        info = {
            "run_id": key, "run_uuid": key, "run_name": run["name"], "experiment_id": "1",
            "status": run["status"], "start_time": run["start_time"], "lifecycle_stage": "active",
            "artifact_uri": f"mlflow-artifacts:/1/{key}/artifacts",
        }  # fmt: skip
        tags = [{"key": name, "value": value} for name, value in run["tags"].items()]
        return {"info": info, "data": {"tags": tags}}

    def _answer(self, method: str, address: str, body: bytes) -> tuple[int, Any]:
        place = urlparse(address)
        self.asked.append(place.path)
        if place.path.startswith(ARTIFACTS) and method == "put":
            self.files[place.path.removeprefix(ARTIFACTS)] = body
            return 200, {}
        name = place.path.removeprefix(PREFIX).replace("/", "_").replace("-", "_")
        command: Callable[[dict[str, Any]], Any] | None = getattr(self, f"{method}_{name}", None)
        if command is None:
            return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": place.path}
        asked = {key: values[0] for key, values in parse_qs(place.query).items()}
        try:
            if name in self.refuse:
                raise self.refuse[name]
            return 200, command(asked | (json.loads(body) if body else {}))
        except Refusal as refusal:
            return refusal.status, {"error_code": refusal.code, "message": str(refusal)}

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _take(self) -> None:
                server.answers.wait(30)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                server.authorization.add(self.headers.get("Authorization", ""))
                status, answer = server._answer(self.command.lower(), self.path, body)
                if (path := urlparse(self.path).path) in server.lose_answer_to:
                    server.lose_answer_to.discard(path)
                    self.close_connection = True
                    return
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = _take

            def log_message(self, *args: Any) -> None:
                """Nothing."""

        return Handler
