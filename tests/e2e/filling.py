"""Rows of every kind in a hub's database, so that each of its pages has something to show.

``python -m tests.e2e.filling``, with the hub's MLXHUB_HOME. Prints as JSON what stands in
addresses.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import django

HOSTILE = "<b>bold</b> “quoted” & " + "long" * 30


def fill() -> dict[str, Any]:
    """What addresses name, by its name in the URL configuration."""
    from apps.accounts.roles import Role
    from apps.accounts.services import create_account
    from apps.inference.benchmarks.tests.runs import make_run
    from apps.models.models import Adapter, LocalModel

    base = LocalModel.objects.get()
    adapter = Adapter.objects.create(
        base=base, slug="pirate", name="Pirate", path=str(base.path), digest="p"
    )
    for role in Role:
        create_account(name=role.label, role=role)
    runs = [make_run("done", model_name=base.slug, speed=speed).pk for speed in (1.0, 2.0)]
    make_run("failed", model_name=base.slug, error=HOSTILE)
    dataset = _dataset()
    return {
        "conversation": str(_conversation(base)),
        "comparison": str(_comparison(base, adapter)),
        "model": base.slug,
        "dataset": dataset.slug,
        "runs": runs,
        "model_job": _jobs_on_models(base),
        "training": _trainings(base),
        "evaluation": _evaluation(base, dataset),
        **_rest(base),
    }


def _conversation(base: Any) -> object:
    from apps.playground.models import Conversation, Message

    chat = Conversation.objects.create(title=HOSTILE[:80], model=base)
    ask = Message.objects.create(conversation=chat, role="user", content=HOSTILE)
    answer = Message.objects.create(
        conversation=chat,
        parent=ask,
        role="assistant",
        model_name=base.slug,
        content="# A title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```",
        state=Message.State.COMPLETE,
    )
    chat.show(answer)
    return chat.pk


def _comparison(base: Any, adapter: Any) -> object:
    from apps.playground.compare.models import Column, ColumnAnswer, Comparison
    from apps.playground.models import Conversation, Message

    chat = Conversation.objects.create(title="Compared", model=base)
    comparison = Comparison.objects.create(conversation=chat)
    ask = Message.objects.create(conversation=chat, role="user", content="Ahoy?")
    for position, which in enumerate((None, adapter)):
        column = Column.objects.create(
            comparison=comparison, position=position, model=base, adapter=which
        )
        answer = Message.objects.create(
            conversation=chat, parent=ask, role="assistant", content="Aye.", state="complete",
            model_name=base.slug,
        )  # fmt: skip
        ColumnAnswer.objects.create(column=column, message=answer)
    chat.show(answer)
    return comparison.pk


def _dataset() -> Any:
    from apps.datasets import running
    from apps.datasets.services import order_import

    rows = [{"prompt": f"Number {n}?", "completion": HOSTILE} for n in range(40)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "numbers.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        job = order_import(path=path, name="Numbers")
        running.run(job, stops=threading.Event())
    job.refresh_from_db()
    assert job.state == "done", job.error
    return job.dataset


def _jobs_on_models(base: Any) -> int:
    from apps.discovery.downloads.models import Download
    from apps.discovery.publishing.models import Publication
    from apps.models.work.models import ModelJob

    for state in ("paused", "failed"):
        Download.objects.create(
            repo_id=f"owner/{state}", commit="a" * 40, slug=state, bytes_total=10**9,
            bytes_done=10**8, state=state, error=HOSTILE if state == "failed" else "",
        )  # fmt: skip
        Publication.objects.create(
            model=base, subject=base.name, repo_id=f"owner/{state}", error=HOSTILE, state="failed"
        )
    job = ModelJob.objects.create(
        kind=ModelJob.Kind.VERIFY, subject=base.name, model=base, state="failed", error=HOSTILE
    )
    return job.pk


def _trainings(base: Any) -> int:
    from apps.training.models import Metric, Sample
    from apps.training.tests.jobs import make_job

    jobs = [make_job(base, state=state, error=HOSTILE) for state in ("done", "failed", "paused")]
    for job in jobs[:2]:
        Metric.objects.bulk_create(
            Metric(job=job, name=name, step=step, value=3 / (1 + step))
            for name in ("loss", "validation_loss")
            for step in range(0, 100, 10)
        )
        Sample.objects.create(job=job, step=50, prompt=0, text=HOSTILE)
    return jobs[0].pk


def _evaluation(base: Any, dataset: Any) -> int:
    from apps.training.evaluation.models import Finding
    from apps.training.evaluation.plan import Plan
    from apps.training.evaluation.services import order

    plan = Plan(
        subjects=(base.slug, f"{base.slug}:pirate"),
        split="train",
        question_rows=2,
        prompts=(HOSTILE,),
    )
    evaluation = order(plan=plan, version=dataset.head)
    for subject in (0, 1):
        Finding.objects.create(
            evaluation=evaluation, subject=subject, answers=True, row=0, text=HOSTILE
        )
    evaluation.state = "done"
    evaluation.save()
    return evaluation.pk


def _rest(base: Any) -> dict[str, Any]:
    from django.contrib.auth.models import User
    from django.utils import timezone

    from apps.accounts.invitations import invitation_path
    from apps.inference.keys.services import create_key
    from apps.inference.models import WarmPrompt
    from apps.inference.usage.models import RequestRecord
    from apps.system.alerts.models import Alert, Delivery, Webhook

    create_key(name="laptop", may_manage=True)
    WarmPrompt.objects.create(name="Terse", model=base, system_prompt="Be terse.")
    for status in (200, 429, 500):
        RequestRecord.objects.create(
            created_at=timezone.now(), endpoint="POST /v1/chat/completions", status=status,
            duration=1.5, model=base.slug,
        )  # fmt: skip
    hook = Webhook.objects.create(url="https://hook.example/" + "x" * 200)
    alert = Alert.objects.create(
        kind="disk", summary=HOSTILE, remedy="Make room.", resolved_at=timezone.now()
    )
    Delivery.objects.create(
        webhook=hook, alert=alert, payload={"event": "firing"}, state="given_up", error=HOSTILE
    )
    number, token = invitation_path(User.objects.get(username="member")).strip("/").split("/")[1:]
    return {"number": number, "token": token}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlxhub_site.settings")
    django.setup()
    sys.stdout.write(f"{json.dumps(fill())}\n")
