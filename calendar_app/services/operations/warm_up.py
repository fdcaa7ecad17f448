"""What a process loads before it forks, so that none of its children has to do it anew."""

from __future__ import annotations

from sqlalchemy.orm import configure_mappers

from calendar_app.db.session import get_engine
from calendar_app.services.operations import health


def database() -> None:
    """The mapping of the tables, the database's driver and the names of the migrations; no connection is opened."""
    configure_mappers()
    get_engine()
    health.revisions()
