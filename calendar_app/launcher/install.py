"""Installs locked requirements: ``python -m calendar_app.launcher.install [--python OTHER] requirements.txt``.

uv does the work: it is the same program on every machine, whatever pip Python brings. It knows nothing of pip's
configuration, where people name their mirror, proxy and certificates, so that is handed on to it. Only the standard
library is imported here: this runs before anything is installed.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
"""pip's setting -> the variable by which uv is told the same (pip.pypa.io/en/stable/topics/configuration,
docs.astral.sh/uv/reference/environment)."""

SECTIONS = ("global", "install", ":env:")
"""pip's sections that an installation reads, each stronger than the one before."""


def from_pip(listing: str) -> dict[str, str]:
    """Turn what ``pip config list`` prints into variables for uv."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in found and name in VARIABLES:
            # Several addresses stand on lines or words of their own; uv takes words (find-links: commas).
            words = str(ast.literal_eval(value)).split()
            found[section][VARIABLES[name]] = ("," if name == "find-links" else " ").join(words)
    merged: dict[str, str] = {}
    for section in SECTIONS:
        merged.update(found[section])
    return {name: value for name, value in merged.items() if value}


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for uv: what is set for uv itself is stronger than what pip is configured for."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    return {**from_pip(asked.stdout), **environment}


def main() -> None:
    """Install every file that is named on the command line into the environment of this Python, or of another one."""
    python, files = sys.executable, sys.argv[1:]
    if files[0] == "--python":
        _, python, *files = files
    uv = str(Path(sys.executable).parent / "uv")
    command = [uv, "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode"]
    # Every file is named by its hash, so it does not matter which index has it.
    command += ["--index-strategy", "unsafe-best-match", "--python", python]
    for file in files:
        command += ["--requirement", file]
    os.execve(uv, command, settings(os.environ))  # noqa: S606  # installed from requirements-setup.txt


if __name__ == "__main__":
    main()
