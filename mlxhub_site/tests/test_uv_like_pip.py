"""uv asks where pip would ask."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[2] / "requirements" / "uv_like_pip.py"
_spec = importlib.util.spec_from_file_location("uv_like_pip", _path)
assert _spec is not None
assert _spec.loader is not None
uv_like_pip = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(uv_like_pip)


def test_the_environment_wins_over_the_configuration_file() -> None:
    listing = ":env:.index-url='https://env.example/simple'\nglobal.index-url='https://x.example'\n"
    assert uv_like_pip.pip_options(listing) == {"index-url": "https://env.example/simple"}


def test_settings_of_other_commands_are_left_out() -> None:
    assert uv_like_pip.pip_options("list.format='columns'\nnonsense\n") == {}


def test_uv_gets_index_certificate_and_wheel_folders() -> None:
    options = {
        "index-url": "https://pypi.example/simple",
        "extra-index-url": "\nhttps://one.example\nhttps://two.example",
        "find-links": "/wheels /more",
        "cert": "/etc/ca.pem",
    }
    assert uv_like_pip.uv_variables(options) == {
        "UV_DEFAULT_INDEX": "https://pypi.example/simple",
        "UV_INDEX": "https://one.example https://two.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


def test_an_index_that_pip_must_not_use_is_not_used() -> None:
    assert uv_like_pip.uv_variables({"no-index": "true"}) == {"UV_NO_INDEX": "1"}
    assert uv_like_pip.uv_variables({"no-index": "false"}) == {}
