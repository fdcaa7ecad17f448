"""The demonstration workspace that a sandbox starts with: one owner, one event type at ``/book/demo/intro``."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import select

from calendar_app.db.session import transaction
from calendar_app.db.tables import Person, Workspace
from calendar_app.services.accounts import new_workspace, passwords

EMAIL = "owner@example.com"
SLUG = "demo"
TIMEZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """How to sign in to the demonstration."""

    email: str
    password: str


def ensure_demo(data_dir: Path) -> DemoAccount:
    """Make the demonstration workspace, or find it as it was left; the password is in ``DATA_DIR/demo_password``.

    A database that outlived its data folder gets the password of the new file.
    """
    password, fresh = _password(data_dir / "demo_password")
    with transaction() as session:
        owner = session.exec(select(Person).where(Person.email == EMAIL)).first()
        if owner is None:
            owner = Person(email=EMAIL, name="Olivia Owner", timezone=TIMEZONE)
            fresh = True
        if fresh:
            owner.password_hash = passwords.hashed(password)
            session.add(owner)
            session.flush()
        if session.exec(select(Workspace).where(Workspace.slug == SLUG)).first() is None:
            new_workspace.new_workspace(session, owner, "Demo", slug=SLUG)
    return DemoAccount(EMAIL, password)


def _password(path: Path) -> tuple[str, bool]:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip(), False
    password = secrets.token_urlsafe(12)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
    return password, True
