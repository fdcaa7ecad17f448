"""``almanac run [--logs]``, in a checkout also ``python -m calendar_app.launcher`` (``make run``)."""

from __future__ import annotations

import argparse
import os
import signal
import sys

<<<<<<< HEAD
from honcho.environ import parse_procfile
from redis import Redis

from calendar_app.launcher import checks, first_steps, frontend, health
from calendar_app.launcher.environment import prepare
=======
from calendar_app.launcher import marks
>>>>>>> 6cf17be (launcher: Fork the processes from one that has imported the product)
from calendar_app.launcher.errors import LaunchError


<<<<<<< HEAD
class Stopped(Exception):
    """Somebody asked the launcher to stop."""


class Launcher:
    """One run of the product, from checks to the last process's end."""

    def __init__(self, settings: Settings, *, logs: bool = False, procfile: Path = PROCFILE) -> None:
        self.settings = settings
        self.data_dir = settings.data_dir.absolute()
        self._logs = logs
        self._procfile = procfile
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
            run = uuid.uuid4().hex
            self._run_file.write_text(run)
            environment = prepare(self.settings, os.environ)
            checks.require_tools(environment["PATH"])
            supervisor = Supervisor(
                run,
                frontend.ROOT,
                environment,
                self.data_dir / "logs",
                say,
                echo=say if self._logs else None,
            )
            with watched(run):
                try:
                    self._start(supervisor, environment)
                    while not self._asked_to_stop():
                        supervisor.tick()
                        time.sleep(TICK_S)
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
        lines = dict(parse_procfile(self._procfile.read_text()).processes)
        lines.pop("release", None)
        if not self.settings.sandbox:
            lines.pop("sandbox", None)
            lines.pop("caldav", None)
        self._start_redis(supervisor, environment, lines.pop("valkey"))
        frontend.ensure_built(
            {**environment, MARK: supervisor.run},
            log=self.data_dir / "logs" / "build.log",
            announce=say,
            cancelled=self._asked_to_stop,
        )
        if self._asked_to_stop():
            raise Stopped
        os.environ.update(environment)
        get_settings.cache_clear()
        # The web process needs seconds to import, and no table before its first request.
        supervisor.start("web", lines["web"])
        sign_in = self._prepare_data()
        for name, command in lines.items():
            if name != "web":
                supervisor.start(name, command)
        self._wait(supervisor, self._probes(supervisor.run, environment, lines))
        print(f"Ready: {self.settings.public_url}", *sign_in, sep="\n", flush=True)

    def _start_redis(self, supervisor: Supervisor, environment: dict[str, str], command: str) -> None:
        """Start the embedded server, whose states of closed pages are forgotten, or find the operator's own."""
        answers = health.redis_answers(environment["REDIS_URL"])
        if not os.environ.get("REDIS_URL"):
            supervisor.start("valkey", command)
            self._wait(supervisor, {"valkey": answers})
            with Redis.from_url(environment["REFLEX_REDIS_URL"]) as states:
                states.flushdb()
        elif not answers():
            raise LaunchError(
                "There is no answer at REDIS_URL: start that server, or leave REDIS_URL out for the embedded one."
            )

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

    def _probes(
        self, run: str, environment: dict[str, str], lines: dict[str, str]
    ) -> dict[str, health.Probe]:
        """What each of the processes must do before the product is called ready."""
        web_host = environment["WEB_HOST"]
        reachable = "127.0.0.1" if web_host in {"0.0.0.0", "::", ""} else web_host  # noqa: S104  # a comparison
        probes: dict[str, health.Probe] = {}
        for name, line in lines.items():
            if name == "web":
                probes[name] = health.answers(reachable, self.settings.port, "/health")
            elif name == "sandbox":
                probes[name] = health.answers("127.0.0.1", int(environment["SANDBOX_PORT"]), "/sandbox")
            elif name == "caldav":
                port = int(environment["SANDBOX_CALDAV_PORT"])
                probes[name] = health.answers("127.0.0.1", port, "/.web/")
            else:
                kind = "worker" if line.startswith("rq worker") else "cron_scheduler"
                ours = partial(belongs, run=run, name=name)
                probes[name] = health.registered(environment["REDIS_URL"], kind, ours)
        return probes

    def _wait(self, supervisor: Supervisor, probes: dict[str, Callable[[], bool]]) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        waiting = dict(probes)
        while waiting:
            if self._asked_to_stop():
                raise Stopped
            supervisor.tick()
            waiting = {name: probe for name, probe in waiting.items() if not probe()}
            if waiting and time.monotonic() > deadline:
                raise LaunchError(
                    f"{' and '.join(waiting)} did not become ready within {READY_WITHIN_S:.0f} s, so everything "
                    f"was stopped; the reason stands in {self.data_dir / 'logs'}."
                )
            if waiting:
                time.sleep(TICK_S)

    def _asked_to_stop(self) -> bool:
        return self._stopping.is_set() or (self._parent is not None and os.getppid() != self._parent)


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, flush=True)


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m calendar_app.launcher", description=__doc__)
=======
def main() -> int:
    """Parse the command line and run; 0 where it was asked to stop."""
    parser = argparse.ArgumentParser(description="Run everything on this machine until Ctrl-C.")
>>>>>>> 6cf17be (launcher: Fork the processes from one that has imported the product)
    parser.add_argument(
        "--logs", action="store_true", help="show the processes' output, not only keep it in DATA_DIR"
    )
    arguments = parser.parse_args()
    run = marks.carry()
    # Not above: the process starts itself anew first, to carry the mark.
    from calendar_app.launcher.launch import Launcher
    from calendar_app.settings import SettingsError, load_settings

    os.umask(0o077)
    try:
        launcher = Launcher(load_settings(), run, logs=arguments.logs)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, launcher.request_stop)
        launcher.run()
    except (LaunchError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
