"""A process that needs a fresh token, as workers and web processes do, for tests that start several at once.

``python -m tests.support.rotating_grant CONNECTION_ID FILE [THREADS] [die]``: asks for the connection's token in so
many threads at once, against an authorization server whose whole state is FILE. The server rotates refresh tokens and
ends the grant when one is used twice. With ``die`` the process is killed when the server has answered, before it can
save.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from calendar_app.db.session import get_engine
from calendar_app.errors import GrantRevoked
from calendar_app.providers import registry
from calendar_app.providers.base import Account, ClientAnswer, Grant
from calendar_app.services.connections import tokens as connection_tokens
from tests.support.fake_provider import FakeClient, FakeProvider


class RotatingServer:
    """An authorization server in a file; ``refreshes`` counts successes."""

    scopes = ()

    def __init__(self, path: Path, *, deadly: bool = False) -> None:
        self._path = path
        self._deadly = deadly

    @staticmethod
    def start(path: Path, refresh_token: str) -> None:
        path.write_text(json.dumps({"current": refresh_token, "refreshes": 0}))

    def installed(self) -> AbstractContextManager[None]:
        """For the length of a ``with`` block, connections of the provider ``fake`` get their tokens here."""
        vendor = FakeProvider()
        return registry.override("fake", oauth=self, calendar=lambda token: FakeClient(vendor, token))

    def refresh(self, refresh_token: str) -> Grant:
        with self._path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = json.load(file)
            if state["current"] != refresh_token:
                state["current"] = None
            else:
                state["refreshes"] += 1
                state["current"] = f"refresh-{state['refreshes']}"
            file.seek(0)
            file.truncate()
            json.dump(state, file)
        time.sleep(0.2)  # a round trip, in which the others arrive
        if self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if state["current"] is None:
            raise GrantRevoked
        expires = datetime.now(UTC) + timedelta(hours=1)
        return Grant(f"access-{state['refreshes']}", state["current"], expires, ())

    def authorization_url(self, **_: str) -> str:
        raise NotImplementedError

    def exchange(self, **_: str) -> Grant:
        raise NotImplementedError

    def revoke(self, token: str) -> None:
        raise NotImplementedError

    def check_client(self, redirect_uri: str) -> ClientAnswer:
        return ClientAnswer.ACCEPTED

    def account(self, access_token: str) -> Account:
        raise NotImplementedError


def main(connection_id: str, path: str, threads: str = "1", die: str = "") -> None:
    with RotatingServer(Path(path), deadly=bool(die)).installed():
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        with ThreadPoolExecutor(int(threads)) as pool:
            asked = [
                pool.submit(connection_tokens.call, connection_id, lambda provider: provider.capabilities)
                for _ in range(int(threads))
            ]
            for one in asked:
                one.result()
    get_engine().dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
