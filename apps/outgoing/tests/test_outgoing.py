"""Whom the hub calls for somebody, and whom never."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.outgoing import post
from apps.outgoing.addresses import LookUp, target_of
from apps.outgoing.errors import BadTarget, NotDelivered
from apps.outgoing.post import post_json


def leads_to(*addresses: str) -> LookUp:
    return lambda host, port: list(addresses)


class _Hook(BaseHTTPRequestHandler):
    """Keeps what it got, and answers as its path says."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.headers["Host"], self.path, json.loads(body)))  # type: ignore[attr-defined]
        if self.path == "/drip":
            self._drip()
            return
        self.send_response(int(self.path.rpartition("/")[2]))
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()

    def _drip(self) -> None:
        with suppress(OSError):  # cut off
            while not self.server.over.wait(0.01):  # type: ignore[attr-defined]
                self.wfile.write(b" ")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Hook)
    server.got, server.over = [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.over.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


class TestAnAddress:
    @pytest.mark.parametrize(
        "inside",
        [
            "127.0.0.1",
            "10.1.2.3",
            "192.168.1.1",
            "172.16.0.9",
            "100.64.0.1",
            "::1",
            "fd12:3456::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ],
    )
    def test_inside_the_network_is_called_only_where_that_is_allowed(self, inside: str) -> None:
        with pytest.raises(BadTarget, match="own network"):
            target_of("http://hook.example/", look_up=leads_to(inside))
        assert target_of("http://hook.example/", allow_private=True, look_up=leads_to(inside))

    @pytest.mark.parametrize(
        "never",
        [
            "169.254.169.254",
            "fe80::1",
            "fe80::1%eth0",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "fd00:ec2::254",
            "100.100.100.200",
            "192.0.0.192",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ],
    )
    def test_of_no_web_server_is_never_called(self, never: str) -> None:
        with pytest.raises(BadTarget):
            target_of("http://hook.example/", allow_private=True, look_up=leads_to(never))

    def test_is_refused_when_only_one_of_several_is_bad(self) -> None:
        with pytest.raises(BadTarget):
            target_of("http://hook.example/", look_up=leads_to("93.184.216.34", "127.0.0.1"))

    @pytest.mark.parametrize("spelling", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"])
    def test_of_this_machine_is_known_however_it_is_spelled(self, spelling: str) -> None:
        with pytest.raises(BadTarget):
            target_of(f"http://{spelling}/")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "hook.example",
            "ftp://hook.example/",
            "file:///etc/passwd",
            "gopher://hook.example/",
            "http://",
            "http://user:secret@hook.example/",  # pragma: allowlist secret
            "http://hook.example:99999/",
            "http://hook.example/\r\nHost: other",
            "http://hook.example/ x",
            "http://[::1",
            "http://hook.example/" + "x" * 2000,
        ],
    )
    def test_that_is_none_is_refused(self, url: str) -> None:
        with pytest.raises(BadTarget):
            target_of(url, look_up=leads_to("93.184.216.34"))

    def test_keeps_its_name_for_the_server_and_the_certificate(self) -> None:
        target = target_of("https://hook.example:8443/a?b=1", look_up=leads_to("93.184.216.34"))
        assert target.netloc == "hook.example:8443"
        assert (target.path, target.address) == ("/a?b=1", "93.184.216.34")

    @given(st.text(max_size=60))
    def test_of_any_text_is_an_address_or_refused(self, text: str) -> None:
        with suppress(BadTarget):
            target_of(f"http://{text}", look_up=leads_to("93.184.216.34"))


class TestACall:
    def test_goes_to_the_address_that_was_checked(self, hook: HTTPServer) -> None:
        """DNS rebinding: the name is looked up once."""
        looked_up = []

        def once(host: str, port: int) -> list[str]:
            looked_up.append(host)
            return ["127.0.0.1"]

        url = f"http://hook.example:{hook.server_port}/200"
        assert post_json(url, {"a": 1}, allow_private=True, look_up=once) == 200
        assert looked_up == ["hook.example"]
        assert hook.got == [(f"hook.example:{hook.server_port}", "/200", {"a": 1})]

    def test_follows_no_redirect(self, hook: HTTPServer) -> None:
        with pytest.raises(NotDelivered, match="redirect") as refused:
            post_json(f"http://127.0.0.1:{hook.server_port}/302", {}, allow_private=True)
        assert refused.value.status == 302

    def test_that_is_answered_with_an_error_was_not_delivered(self, hook: HTTPServer) -> None:
        with pytest.raises(NotDelivered, match="answered 500"):
            post_json(f"http://127.0.0.1:{hook.server_port}/500", {}, allow_private=True)

    def test_that_is_answered_without_an_end_is_cut_off(
        self, hook: HTTPServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each byte comes in time, and there are always more of them."""
        monkeypatch.setattr(post, "LONGEST", 0.2)
        with pytest.raises(NotDelivered, match="did not answer"):
            post_json(f"http://127.0.0.1:{hook.server_port}/drip", {}, allow_private=True)

    def test_that_nobody_takes_was_not_delivered(self, hook: HTTPServer) -> None:
        port = hook.server_port
        hook.shutdown()
        hook.server_close()
        with pytest.raises(NotDelivered, match="did not answer"):
            post_json(f"http://127.0.0.1:{port}/200", {}, allow_private=True)

    def test_inside_the_network_sends_nothing(self, hook: HTTPServer) -> None:
        with pytest.raises(BadTarget):
            post_json(f"http://127.0.0.1:{hook.server_port}/200", {})
        assert hook.got == []
