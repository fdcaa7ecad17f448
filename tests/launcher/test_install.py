"""uv installs from the index, through the proxy and with the certificates that pip is configured for."""

from __future__ import annotations

import os
from pathlib import Path

from calendar_app.launcher.install import from_pip, settings


def test_a_machine_without_configuration_says_nothing() -> None:
    """Then uv takes the public index, as pip does."""
    assert from_pip("") == {}


def test_what_pip_is_told_uv_is_told() -> None:
    """Every kind of setting, from pip's global section; several addresses may stand on lines of their own."""
    listing = r"""global.index-url='https://mirror.example/simple'
global.extra-index-url='file:///srv/a/simple\nhttps://b.example/simple'
global.find-links='/srv/wheels /srv/more'
global.trusted-host='mirror.example b.example:8443'
global.cert='/etc/own.pem'
global.client-cert='/etc/client.pem'
global.proxy='http://proxy.example:3128'
global.timeout='60'
global.constraint='/etc/constraints.txt'
freeze.all='true'
"""
    assert from_pip(listing) == {
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "file:///srv/a/simple https://b.example/simple",
        "UV_FIND_LINKS": "/srv/wheels,/srv/more",
        "UV_INSECURE_HOST": "mirror.example b.example:8443",
        "SSL_CERT_FILE": "/etc/own.pem",
        "SSL_CLIENT_CERT": "/etc/client.pem",
        "ALL_PROXY": "http://proxy.example:3128",
        "UV_HTTP_TIMEOUT": "60",
    }


def test_the_nearer_setting_wins_as_in_pip() -> None:
    """A variable is stronger than the section of the command, and that than the global one, in whatever order."""
    listing = (
        ":env:.index-url='https://variable.example'\ninstall.index-url='https://install.example'\n"
        "global.index-url='https://global.example'\ninstall.cert='/install.pem'\nglobal.cert='/global.pem'\n"
    )
    assert from_pip(listing) == {
        "UV_DEFAULT_INDEX": "https://variable.example",
        "SSL_CERT_FILE": "/install.pem",
    }


def test_pip_is_asked_and_uvs_own_variables_win(tmp_path: Path) -> None:
    """A configuration file of pip's counts; who has told uv something meant it."""
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://file.example/simple\ntimeout = 7\n")
    given = {
        "PATH": os.environ["PATH"],
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "UV_HTTP_TIMEOUT": "90",
    }
    told = settings(given)
    assert told["UV_DEFAULT_INDEX"] == "https://file.example/simple"
    assert told["UV_HTTP_TIMEOUT"] == "90"
