"""The demonstration workspace."""

from __future__ import annotations

import stat
from pathlib import Path

from calendar_app.services.accounts import authentication
from calendar_app.services.workspaces import demo
from tests.support.databases import Database


def test_the_demo_is_made_once(database: Database, tmp_path: Path) -> None:
    """Starting again finds the same owner, workspace and password, which is in a private file."""
    first = demo.ensure_demo(tmp_path / "data")
    second = demo.ensure_demo(tmp_path / "data")
    assert first == second
    assert stat.S_IMODE((tmp_path / "data" / "demo_password").stat().st_mode) == 0o600
    identity = authentication.sign_in(first.email, first.password).identity
    assert [(ref.slug, ref.role) for ref in identity.workspaces] == [("demo", "owner")]


def test_a_lost_password_file_gives_a_new_password(database: Database, tmp_path: Path) -> None:
    """A database that outlived its data folder can be signed in to with what the start prints."""
    demo.ensure_demo(tmp_path / "old")
    found = demo.ensure_demo(tmp_path / "new")
    assert authentication.sign_in(found.email, found.password).identity.email == found.email
