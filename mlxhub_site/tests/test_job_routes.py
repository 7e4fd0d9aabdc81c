"""Every kind of job refuses a number that there is not, and says where its numbers are listed."""

from __future__ import annotations

import pytest
from django.test import Client


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/benchmarks", "benchmark_not_found"),
        ("/api/dataset-jobs", "dataset_job_not_found"),
        ("/api/downloads", "download_not_found"),
        ("/api/evaluations", "evaluation_not_found"),
        ("/api/models/jobs", "job_not_found"),
        ("/api/publications", "publication_not_found"),
        ("/api/training/jobs", "training_not_found"),
    ],
)
def test_an_unknown_number_is_answered_with_its_kinds_code(
    client: Client, path: str, code: str
) -> None:
    answer = client.post(f"{path}/{10**30}/cancel")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, code)
    assert error["message"].endswith(f"GET {path} lists them.")
