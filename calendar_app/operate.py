"""``python -m calendar_app.operate``: what an operator does from a shell, beside the running product.

It reads the same environment as the other processes. ``docs/operations.md`` says when to use which command.
"""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import sys
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from calendar_app import logs
from calendar_app.db import failures
from calendar_app.db.session import require_whole_file
from calendar_app.errors import AlmanacError
from calendar_app.services import health, key_rotation, owners
from calendar_app.settings import SettingsError, get_settings


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
    root = argparse.ArgumentParser(prog="python -m calendar_app.operate", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="command")

    def command(name: str, work: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=work.__doc__, description=work.__doc__)
        made.set_defaults(work=work)
        return made

    rotation = command("rotate-keys", rotate_keys)
    rotation.add_argument("--batch", type=int, default=key_rotation.BATCH, help="rows in one transaction")
    rotation.add_argument("--dry-run", action="store_true", help="only count")
    command("check", check)
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
        logs.configure(get_settings(), "operate")
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
