"""How callers of services tell that the database, and not our code, is at fault."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError

DATABASE_AWAY: tuple[type[Exception], ...] = (InterfaceError, OperationalError)
"""What any service may raise while the database is out of reach, or too busy."""
