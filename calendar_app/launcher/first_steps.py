"""What is said at a start to who may set the installation up: the code that opens its set-up page."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from calendar_app.db.session import get_engine
from calendar_app.services.installation import first_owner
from calendar_app.settings import current_settings


def lines() -> list[str]:
    """How to sign in, or, while nobody is here, how to set up; a code is made for that. The database is migrated."""
    site = current_settings().public_url
    if not first_owner.is_needed():
        return [f"sign in: {site}/login"]
    code = first_owner.make_code()
    return [f"set up: {site}/setup#{code}", f"code: {code}"]


def lines_if_ready() -> list[str]:
    """As :func:`lines`; none while nobody can tell, as before the migrations have run."""
    try:
        return lines()
    except (SQLAlchemyError, OSError):
        return []
    finally:
        get_engine().dispose()  # the processes that are forked from here open their own connections
