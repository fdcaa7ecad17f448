"""Bring the database to the newest schema: what ``alembic upgrade head`` does, callable from the product."""

from __future__ import annotations

import sys

from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from alembic import command
from calendar_app.places import ROOT
from calendar_app.settings import SettingsError


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; with ``connection`` the migrations run on it and the caller commits."""
    config = Config(ROOT / "alembic.ini")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection | None = None) -> None:
    """Run every migration that is missing; does nothing on an up-to-date database."""
    command.upgrade(alembic_config(connection), "head")


def main() -> None:
    """``almanac migrate``."""
    try:
        upgrade()
    except (CommandError, SettingsError) as error:
        sys.exit(str(error))
