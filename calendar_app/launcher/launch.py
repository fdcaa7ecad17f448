"""One run of the product: check, prepare, start, watch, stop."""

from __future__ import annotations

import os
import shlex
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from redis import Redis

from calendar_app.launcher import checks, first_steps, frontend, health, programs, valkey, web
from calendar_app.launcher.environment import prepare
from calendar_app.launcher.errors import LaunchError
from calendar_app.launcher.forks import Answer
from calendar_app.launcher.marks import MARK, end_marked
from calendar_app.launcher.processes import Supervisor, Work
from calendar_app.launcher.watcher import watched
from calendar_app.places import PACKED, ROOT
from calendar_app.settings import Settings, get_settings

READY_WITHIN_S = 90.0
TICK_S = 0.1


class Stopped(Exception):
    """Somebody asked the launcher to stop."""


class Launcher:
    """One run of the product, from checks to the last process's end; ``run`` is its mark."""

    def __init__(self, settings: Settings, run: str, *, logs: bool = False) -> None:
        self.settings, self._run = settings, run
        self.data_dir = settings.data_dir.absolute()
        self._logs = logs
        self._stopping = threading.Event()
        self._parent = os.getppid() if os.environ.get("ALMANAC_STOP_WITH_PARENT") else None

    def request_stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Run until asked to stop.

        :raises LaunchError: if the product cannot start, or not go on.
        """
        checks.require_directory(self.data_dir)
        with checks.sole_user(self.data_dir):
            self._end_what_was_left()
            host = os.environ.get("WEB_HOST") or "127.0.0.1"
            checks.require_port(host, self.settings.port)
            self._run_file.write_text(self._run)
            environment = prepare(self.settings, os.environ)
            if not PACKED:
                checks.require_tools(environment["PATH"])
            supervisor = Supervisor(
                self._run,
                ROOT,
                environment,
                self.data_dir / "logs",
                say,
                echo=say if self._logs else None,
            )
            with watched(self._run):
                try:
                    self._start(supervisor, environment)
                    while not self._asked_to_stop():
                        supervisor.tick(TICK_S)
                except Stopped:
                    pass
                finally:
                    supervisor.stop(last=("valkey",))
                    self._run_file.unlink(missing_ok=True)

    @property
    def _run_file(self) -> Path:
        return self.data_dir / "launcher.run"

    def _end_what_was_left(self) -> None:
        """A launcher that was killed left its mark here, and its processes running if its watcher was killed, too."""
        if self._run_file.exists():
            ended = end_marked(self._run_file.read_text().strip())
            if ended:
                say(f"ended {ended} processes that an earlier run left behind")

    def _start(self, supervisor: Supervisor, environment: dict[str, str]) -> None:
        self._start_redis(supervisor, environment)
        frontend.ensure_built(
            {**environment, MARK: supervisor.run},
            log=self.data_dir / "logs" / "build.log",
            announce=say,
            cancelled=self._asked_to_stop,
        )
        if self._asked_to_stop():
            raise Stopped
        os.environ.update(environment | web.SERVED_BY_REFLEX)
        get_settings.cache_clear()
        os.chdir(ROOT)
        background = [*(programs.SANDBOX if self.settings.sandbox else ()), "writer", "worker", "cron"]
        forks = web.preload(web.application(get_settings()), *programs.preloads(background))
        # The web processes need no table before their first request.
        supervisor.start("web", self._work("web", forks))
        sign_in = self._prepared(supervisor, environment) if forks else self._prepare_data()
        for name in background:
            supervisor.start(name, self._work(name, forks))
        self._wait(supervisor, self._probes(supervisor, environment))
        print(f"Ready: {self.settings.public_url}", *sign_in, sep="\n", flush=True)

    def _work(self, name: str, forks: bool) -> Work:
        return programs.function(name) if forks else f"exec {shlex.join(programs.command(name))}"

    def _start_redis(self, supervisor: Supervisor, environment: dict[str, str]) -> None:
        """Start the embedded server, whose states of closed pages are forgotten, or find the operator's own."""
        answers = health.redis_answers(environment["REDIS_URL"])
        if not os.environ.get("REDIS_URL"):
            supervisor.start("valkey", f"exec {shlex.join(valkey.command(self.data_dir))}")
            self._wait(supervisor, {"valkey": answers})
            with Redis.from_url(environment["REFLEX_REDIS_URL"]) as states:
                states.flushdb()
        elif not answers():
            raise LaunchError(
                "There is no answer at REDIS_URL: start that server, or leave REDIS_URL out for the embedded one."
            )

    def _prepared(self, supervisor: Supervisor, environment: dict[str, str]) -> list[str]:
        """:meth:`_prepare_data` in a process of its own, so that this one opens no database and stays small."""
        answer = Answer("prepare", self._prepare_data, {**environment, MARK: self._run})
        while not answer.ready(TICK_S):
            supervisor.tick()
            if self._asked_to_stop():
                answer.kill()
                raise Stopped
        return answer.lines()

    def _prepare_data(self) -> list[str]:
        """Migrate, and in sandbox mode make the demonstration; returns the lines that say how to sign in."""
        from alembic.util import CommandError
        from sqlalchemy.exc import SQLAlchemyError

        from calendar_app.db import failures, session
        from calendar_app.db.migrate import upgrade
        from calendar_app.services.workspaces.demo import ensure_demo

        try:
            upgrade()
            session.require_whole_file()
        except (SQLAlchemyError, CommandError, ModuleNotFoundError) as error:
            raise LaunchError(failures.sentence(error.__cause__ or error)) from error
        if not self.settings.sandbox:
            return first_steps.lines()
        account = ensure_demo(self.data_dir)
        return [f"sign in: {account.email}", f"password: {account.password}"]

    def _probes(self, supervisor: Supervisor, environment: dict[str, str]) -> dict[str, health.Probe]:
        """What each of the processes must do before the product is called ready."""
        web_host = environment["WEB_HOST"]
        reachable = "127.0.0.1" if web_host in {"0.0.0.0", "::", ""} else web_host  # noqa: S104  # a comparison
        probes: dict[str, health.Probe] = {}
        for name in supervisor.names:
            if name == "valkey":
                continue  # it has answered already
            if name == "web":
                probes[name] = health.answers(reachable, self.settings.port, "/health")
            elif name == "sandbox":
                probes[name] = health.answers("127.0.0.1", int(environment["SANDBOX_PORT"]), "/sandbox")
            elif name == "caldav":
                port = int(environment["SANDBOX_CALDAV_PORT"])
                probes[name] = health.answers("127.0.0.1", port, "/.web/")
            else:
                kind = "cron_scheduler" if name == "cron" else "worker"
                probes[name] = health.registered(
                    environment["REDIS_URL"], kind, partial(supervisor.owns, name)
                )
        return probes

    def _wait(self, supervisor: Supervisor, probes: dict[str, Callable[[], bool]]) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        waiting = dict(probes)
        while waiting:
            if self._asked_to_stop():
                raise Stopped
            supervisor.tick(TICK_S)
            waiting = {name: probe for name, probe in waiting.items() if not probe()}
            if waiting and time.monotonic() > deadline:
                raise LaunchError(
                    f"{' and '.join(waiting)} did not become ready within {READY_WITHIN_S:.0f} s, so everything "
                    f"was stopped; the reason stands in {self.data_dir / 'logs'}."
                )

    def _asked_to_stop(self) -> bool:
        return self._stopping.is_set() or (self._parent is not None and os.getppid() != self._parent)


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, flush=True)
