"""Every reason not to start is one sentence that names what to change."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from calendar_app.launcher import checks
from calendar_app.launcher.errors import LaunchError


def one_sentence(error: pytest.ExceptionInfo[LaunchError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_a_port_in_use_is_named_with_a_free_one() -> None:
    """A taken port is reported with its number and with a number that is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LaunchError) as refused:
            checks.require_port("127.0.0.1", port)
    text = one_sentence(refused)
    assert f"Port {port} is in use" in text
    suggested = int(text.rsplit("PORT=", 1)[1].rstrip("."))
    assert suggested != port
    checks.require_port("127.0.0.1", suggested)


@pytest.mark.parametrize("port", [65_536, 70_000])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    """A number beyond the range of ports is an answer, not a stack."""
    with pytest.raises(LaunchError) as refused:
        checks.require_port("127.0.0.1", port)
    assert str(port) in one_sentence(refused)


def test_an_address_that_is_not_ours_is_refused() -> None:
    """WEB_HOST that names no interface of this machine is blamed."""
    with pytest.raises(LaunchError) as refused:
        checks.require_port("192.0.2.1", 3000)
    assert "WEB_HOST" in one_sentence(refused)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """DATA_DIR below a file cannot be made, and the sentence names it."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(LaunchError) as refused:
        checks.require_directory(file / "data")
    text = one_sentence(refused)
    assert str(file / "data") in text
    assert "DATA_DIR=" in text


def test_the_directory_is_made_private(tmp_path: Path) -> None:
    """A data directory that we make is closed to other users."""
    checks.require_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0


def test_missing_programs_are_named(tmp_path: Path) -> None:
    """Programs that are not on the path are listed with what installs them."""
    with pytest.raises(LaunchError) as refused:
        checks.require_tools(str(tmp_path))
    text = one_sentence(refused)
    assert "node and npm" in text
    assert "make run" in text


def test_every_program_of_the_requirements_is_found() -> None:
    """The installed requirements hold every program that the Procfile calls."""
    checks.require_tools(checks.programs_path({"PATH": "/nonexistent"}))


def test_two_launchers_do_not_share_a_directory(tmp_path: Path) -> None:
    """While one process holds the directory, another is told which one does."""
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib\n"
            "from calendar_app.launcher.checks import sole_user\n"
            f"with sole_user(pathlib.Path({str(tmp_path)!r})):\n"
            "    print('held', flush=True)\n"
            "    sys.stdin.read()\n",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LaunchError) as refused, checks.sole_user(tmp_path):
            pytest.fail("the directory was taken twice")
        assert f"process {holder.pid}" in one_sentence(refused)
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    with checks.sole_user(tmp_path):
        pass


def test_a_sandbox_that_is_not_installed_is_named() -> None:
    """A start with the sandbox on says which package is missing, how it comes, and how to do without."""
    checks.require_sandbox()
    with pytest.raises(LaunchError) as refused:
        checks.require_sandbox(("calendar_app.sandbox", "a_mail_server_that_nobody_has"))
    text = one_sentence(refused)
    assert "a_mail_server_that_nobody_has cannot be found" in text
    assert "calendar_app.sandbox" not in text
    assert "`make run`" in text
    assert "ALMANAC_SANDBOX=off" in text
