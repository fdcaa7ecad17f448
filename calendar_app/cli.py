"""``almanac COMMAND``, in a checkout ``python -m calendar_app.cli COMMAND``: what an operator does from a shell, beside
the running product.

It reads the same environment as the other processes. ``docs/operations.md`` says when to use which command.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from calendar_app import logs
from calendar_app.db import failures
from calendar_app.db.session import require_whole_file
from calendar_app.errors import AlmanacError
from calendar_app.launcher import programs
from calendar_app.places import PACKED
from calendar_app.services.accounts import owners
from calendar_app.services.common import installation
from calendar_app.services.doctor import examination, findings
from calendar_app.services.installation import first_owner
from calendar_app.services.operations import backup, health, key_rotation, provider_checklist
from calendar_app.settings import SettingsError, current_settings, get_settings

KEYS_ARE_NOT_IN_IT = (
    "ENCRYPTION_KEYS and SECRET_KEY are not in it (in development they are files in DATA_DIR): keep them, apart from "
    "it. Without them bookings stand, but every account has to be connected again."
)


def say(text: str) -> None:
    """One line for the person at the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def rotate_keys(arguments: argparse.Namespace) -> int:
    """Encrypt every stored secret with the newest key."""
    found = key_rotation.rotate(batch=arguments.batch, dry=arguments.dry_run)
    word = "to rotate" if arguments.dry_run else "rotated"
    for one in found:
        say(
            f"{one.column}: {one.rotated} {word}, {one.current} current, "
            f"{one.changed} changed meanwhile, {one.unreadable} unreadable"
        )
    if unreadable := sum(one.unreadable for one in found):
        say(
            f"{unreadable} values are under none of ENCRYPTION_KEYS: put their key back, at the end of the list."
        )
        return 1
    if arguments.dry_run and any(one.rotated for one in found):
        say("Older keys are still needed.")
    else:
        say("Every value is under the newest key: older keys may be taken out of ENCRYPTION_KEYS.")
    return 0


def keys(arguments: argparse.Namespace) -> int:
    """How many stored secrets are under the newest key and how many under older ones; --rotate re-encrypts those."""
    arguments.dry_run = not arguments.rotate
    return rotate_keys(arguments)


def check(_arguments: argparse.Namespace) -> int:
    """Settings, database (a SQLite file is read through), Redis, migrations, workers, keys."""
    found = health.checks(fresh=True)
    for one in found:
        say(f"{one.status.value:8} {one.name}: {one.detail}")
    if not health.serves(found):
        return 1
    require_whole_file()
    counts = key_rotation.rotate(dry=True)
    old, lost = sum(one.rotated for one in counts), sum(one.unreadable for one in counts)
    status = "failed" if lost else "warning" if old else "ok"
    say(f"{status:8} keys: {old} values are under older keys, {lost} under none.")
    return 1 if lost else 0


def doctor(arguments: argparse.Namespace) -> int:
    """Look at everything that the product stands on, and say what to do: the whole installation, or parts of it."""
    chosen = examination.parts(arguments.send_mail_to)
    if arguments.only:
        chosen = {name: chosen[name] for name in chosen if name in arguments.only}
    found = examination.examine(chosen)
    if arguments.json:
        say(json.dumps([asdict(one) for one in found], indent=2, ensure_ascii=False))
    else:
        for one in found:
            say(f"{one.level.value:8} {one.name}: {one.detail}")
            if one.advice:
                say(f"{'':8}   → {one.advice}")
    return 1 if findings.worst(found) is findings.Level.ERROR else 0


def check_provider(arguments: argparse.Namespace) -> int:
    """The first half hour with a real account of a provider: what to do, and what to look at."""
    for line in provider_checklist.lines(arguments.provider):
        say(line)
    return 0


def back_up(arguments: argparse.Namespace) -> int:
    """Write the database to one file, while everything runs."""
    size = backup.make(arguments.file)
    say(f"{arguments.file} holds the whole database ({size:,} bytes).")
    say(KEYS_ARE_NOT_IN_IT)
    return 0


def restore(arguments: argparse.Namespace) -> int:
    """Put a backup back; stop every process first. What was there is kept."""
    done = backup.restore(arguments.file, as_copy=arguments.as_copy)
    say(f"{arguments.file} is back, at this version's schema.")
    if done.before is not None:
        say(f"What was there before is kept in {done.before}: remove it when all is well.")
    return _said_after(done.calendars)


def after_restore(arguments: argparse.Namespace) -> int:
    """What `restore` does last: for databases that were put back in another way."""
    return _said_after(installation.after_restore(as_copy=arguments.as_copy))


def _said_after(calendars: int) -> int:
    say(f"{calendars} calendars count as busy until they have been read again.")
    say("Flush Redis, start everything, and look at Operations > Drift in each workspace.")
    counts = key_rotation.rotate(dry=True)
    if unreadable := sum(one.unreadable for one in counts):
        say(
            f"{unreadable} values are under none of ENCRYPTION_KEYS: the keys of the backup's time are missing."
        )
        return 1
    return 0


def setup_code(_arguments: argparse.Namespace) -> int:
    """A code that opens the set-up page, while nobody is here yet: as at a start."""
    if not first_owner.is_needed():
        say("This installation is set up: sign in, or make another owner with `make-owner`.")
        return 1
    say(f"{current_settings().public_url}/setup#{first_owner.make_code()}")
    return 0


def make_owner(arguments: argparse.Namespace) -> int:
    """An account that owns a workspace."""
    password = _password() if arguments.ask else secrets.token_urlsafe(18)
    made = owners.make_owner(
        arguments.email,
        password,
        name=arguments.name,
        workspace=arguments.workspace,
        timezone=arguments.timezone,
    )
    say(made.sentence)
    if made.created and not arguments.ask:
        say(f"password: {password}")
    return 0


def reset_password(arguments: argparse.Namespace) -> int:
    """A new password, and every session ended."""
    password = _password() if arguments.ask else secrets.token_urlsafe(18)
    ended = owners.reset_password(arguments.email, password)
    say(f"{arguments.email} has a new password; {ended} sessions ended.")
    if not arguments.ask:
        say(f"password: {password}")
    return 0


def _password() -> str:
    """Typed twice at a terminal, or one line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("New password: ")
    if first != getpass.getpass("Once more: "):
        raise SystemExit("These were not the same.")
    return first


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(
        prog="almanac" if PACKED else "python -m calendar_app", description=__doc__
    )
    commands = root.add_subparsers(required=True, metavar="command")

    def command(name: str, work: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=work.__doc__, description=work.__doc__)
        made.set_defaults(work=work)
        return made

    for name, program in programs.PROGRAMS.items():
        commands.add_parser(name, help=program.about, description=program.about)
    counting = command("keys", keys)
    counting.add_argument("--batch", type=int, default=key_rotation.BATCH, help="rows in one transaction")
    counting.add_argument("--rotate", action="store_true", help="what `rotate-keys` does")
    rotation = command("rotate-keys", rotate_keys)
    rotation.add_argument("--batch", type=int, default=key_rotation.BATCH, help="rows in one transaction")
    rotation.add_argument("--dry-run", action="store_true", help="only count")
    command("check", check)
    examined = command("doctor", doctor)
    examined.add_argument(
        "--json", action="store_true", help="a list of objects: name, level, detail, advice"
    )
    examined.add_argument(
        "--send-mail-to", default="", metavar="ADDRESS", help="send an e-mail there as a test"
    )
    examined.add_argument(
        "--only",
        action="append",
        choices=list(examination.parts()),
        help="one part; may be given several times",
    )
    command("check-provider", check_provider).add_argument(
        "provider", help="google, microsoft, calendly or caldav"
    )
    command("backup", back_up).add_argument("file", type=Path, help="a file that does not exist yet")
    put_back = command("restore", restore)
    put_back.add_argument("file", type=Path, help="what `backup` made")
    for one in (put_back, command("after-restore", after_restore)):
        one.add_argument(
            "--as-copy",
            action="store_true",
            help="for a staging system: an installation of its own, without access to people's accounts",
        )
    command("setup-code", setup_code)
    owner = command("make-owner", make_owner)
    owner.add_argument("email")
    owner.add_argument("--name", default="", help="of a new account")
    owner.add_argument(
        "--workspace", default="", help="slug of a workspace that exists; else a new one is made"
    )
    owner.add_argument("--timezone", default="UTC", help="of a new account, an IANA name")
    reset = command("reset-password", reset_password)
    reset.add_argument("email")
    for one in (owner, reset):
        one.add_argument("--ask", action="store_true", help="type the password, or send it on standard input")
    return root


def main(given: Sequence[str] | None = None) -> int:
    """Run one command; 0 when all is well."""
    arguments = parser().parse_args(given)
    os.umask(0o077)
    try:
        logs.configure(get_settings(), "cli")
        code: int = arguments.work(arguments)
    except (AlmanacError, SettingsError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except SQLAlchemyError as error:
        sys.stderr.write(f"{failures.sentence(error)}\n")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
