"""What web and worker processes count, for Prometheus.

Each process counts for itself; in a running hub the counts lie in small files that the page
at /metrics adds up (prometheus_client's multi-process mode, switched on by the settings).
Everything that has a present value is read from its source then (apps.system.metrics).

Labels are of few values by construction: no model, key, path or message is one.
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_FIRST_TOKEN_SECONDS = (0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
_BETWEEN_TOKENS_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 5)

HTTP_REQUESTS = Counter(
    "mlxhub_http_requests", "Requests answered, by class of route and status.", ("route", "status")
)
HTTP_SECONDS = Histogram(
    "mlxhub_http_request_seconds",
    "From a request to the beginning of its answer, by class of route.",
    ("route",),
    buckets=_REQUEST_SECONDS,
)
FIRST_TOKEN = Histogram(
    "mlxhub_time_to_first_token_seconds",
    "From a request for an answer to its first piece.",
    ("source",),
    buckets=_FIRST_TOKEN_SECONDS,
)
BETWEEN_TOKENS = Histogram(
    "mlxhub_inter_token_seconds",
    "Between two pieces of an answer; for the playground the mean of each answer.",
    ("source",),
    buckets=_BETWEEN_TOKENS_SECONDS,
)
TOKENS = Counter(
    "mlxhub_tokens",
    "Tokens of answered requests: prompt, cached (of the prompt's), completion.",
    ("source", "kind"),
)
ERRORS = Counter(
    "mlxhub_request_errors", "API requests that ended in an error, by its code.", ("code",)
)
JOB_RUNS = Counter(
    "mlxhub_job_runs", "Jobs that left their work, by kind and outcome.", ("kind", "outcome")
)


def count_answer(
    source: str, *, prompt_tokens: int, cached_tokens: int, completion_tokens: int
) -> None:
    """An answer's tokens. ``source``: "api" or "playground"."""
    TOKENS.labels(source, "prompt").inc(prompt_tokens)
    TOKENS.labels(source, "cached").inc(cached_tokens)
    TOKENS.labels(source, "completion").inc(completion_tokens)
