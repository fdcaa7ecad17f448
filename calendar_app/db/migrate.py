"""Bring the database to the newest schema: what ``alembic upgrade head`` does, callable from the product."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from sqlalchemy import Connection

from alembic import command

ROOT = Path(__file__).resolve().parents[2]


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; with ``connection`` the migrations run on it and the caller commits."""
    config = Config(ROOT / "alembic.ini")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection | None = None) -> None:
    """Run every migration that is missing; does nothing on an up-to-date database."""
    command.upgrade(alembic_config(connection), "head")
