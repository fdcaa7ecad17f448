"""Two real CalDAV servers, Radicale and xandikos, each in a process of its own on a loopback port."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import dying_with_parent

USERNAME, PASSWORD = "ada@example.com", "correct horse"


@dataclass(frozen=True, slots=True)
class DavServer:
    """``url`` is what a person would type, ``home`` the collection in which calendars are made."""

    name: str
    url: str
    home: str
    checks_password: bool


@contextmanager
def radicale(folder: Path) -> Iterator[DavServer]:
    """Radicale with one account."""
    users = folder / "users"
    users.write_text(f"{USERNAME}:{PASSWORD}\n")
    port = _free_port()
    config = folder / "config"
    config.write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n"
        f"[auth]\ntype = htpasswd\nhtpasswd_filename = {users}\nhtpasswd_encryption = plain\ndelay = 0\n"
        f"[storage]\nfilesystem_folder = {folder / 'collections'}\n"
        "[logging]\nlevel = error\n"
    )
    command = [sys.executable, "-m", "radicale", "--config", str(config)]
    url = f"http://127.0.0.1:{port}/"
    with _running(command, url, folder / "radicale.log"):
        yield DavServer("radicale", url, f"{url}ada%40example.com/", checks_password=True)


@contextmanager
def xandikos(folder: Path) -> Iterator[DavServer]:
    """xandikos, which leaves passwords to the proxy in front of it."""
    port = _free_port()
    command = [
        sys.executable, "-m", "xandikos", "serve", "-d", str(folder / "root"), "--autocreate", "--defaults",
        "--current-user-principal", "/ada/", "-l", "127.0.0.1", "-p", str(port), "--no-detect-systemd",
        "--state-dir", str(folder / "state"),
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}/"
    with _running(command, url, folder / "xandikos.log"):
        yield DavServer("xandikos", url, f"{url}ada/calendars/", checks_password=False)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def _running(command: Sequence[str], url: str, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(dying_with_parent(list(command)), stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + 30
            while not _answers(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[2]} did not start:\n{log.read_text()}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}.well-known/caldav", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
