"""How an answer is printed as it comes."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from rich.console import Console
from rich.status import Status

from mlxhub_site.commands import answering
from tests.hub_process import until

if TYPE_CHECKING:
    from mlxhub_site.commands.hub.client import HubClient


def test_ctrl_c_while_the_spinner_begins_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = Status.start

    def interrupted(status: Status) -> None:
        begin(status)
        raise KeyboardInterrupt

    def terminal(**_: Any) -> Console:
        return Console(file=io.StringIO(), force_terminal=True)

    monkeypatch.setattr(Status, "start", interrupted)
    monkeypatch.setattr(answering, "console", terminal)
    before = threading.active_count()
    unasked = cast("HubClient", None)
    with pytest.raises(answering.AnswerStopped):
        answering.print_answer(unasked, "tiny", [{"role": "user", "content": "Hi"}], {})
    until(lambda: threading.active_count() == before)
