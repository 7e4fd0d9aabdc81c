"""The official openai package for Node against a serving hub: what a real engine seldom does."""

from __future__ import annotations

from apps.inference.engine.protocol import Generate
from apps.inference.tests.conftest import Hub
from apps.models.models import LocalModel
from tests.engine_scripts import Hang, HangUp, failure, reply
from tests.fake_engine import FakeEngine
from tests.node import run_node_tests


def test_it_tries_again_times_out_and_tells_errors_apart(
    hub: Hub, tiny: LocalModel, fake_engine: FakeEngine
) -> None:
    busy = failure("queue_full", retry_after=0.01)
    fake_engine.once(Generate, busy)  # told
    fake_engine.once(Generate, busy)  # tried again
    fake_engine.once(Generate, *reply("Hello", " world"))
    fake_engine.once(Generate, failure("internal_error"))
    fake_engine.once(Generate, *reply("Par", Hang()))  # timed out
    fake_engine.once(Generate, *reply("Par", HangUp()))  # broke off in mid-stream

    run_node_tests("retries", url=hub.url, model="tiny")

    fake_engine.wait_for_call(Generate, 5).wait_closed_early()
    assert len(fake_engine.calls_of(Generate)) == 6
