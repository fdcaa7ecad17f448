"""Keeping what an operator enters in a page, and the public address among it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from sqlmodel import Session, col, delete, select

from calendar_app.clock import utc_now
from calendar_app.db import entered
from calendar_app.db.entered import GROUPS, Group
from calendar_app.db.session import after_commit
from calendar_app.db.tables import EnteredSetting
from calendar_app.errors import Conflict, InvalidInput
from calendar_app.settings import get_settings

LONGEST = 2_000


def require_enterable(group: Group) -> None:
    """:raises Conflict: ``set_by_environment``, the environment decides it, and wins."""
    if entered.from_environment(get_settings(), group):
        names = " and ".join(name.upper() for name in GROUPS[group].leading)
        raise Conflict(
            f"{names} in the environment of this installation wins: change it there.",
            code="set_by_environment",
        )


def keep(session: Session, group: Group, values: Mapping[str, str], by: str) -> None:
    """Keep values by the names of settings' fields, in the caller's transaction; an empty one is forgotten.

    ``by`` is the e-mail address of who entered them. Every process takes them within seconds, this one at once.
    """
    fields = GROUPS[group]
    for field, value in values.items():
        assert field in (*fields.leading, *fields.others), field
        row = session.exec(select(EnteredSetting).where(EnteredSetting.name == field.upper())).first()
        if not value:
            if row is not None:
                session.delete(row)
            continue
        row = row or EnteredSetting(name=field.upper(), value=value)
        row.value, row.changed_by, row.changed_at = value, by, utc_now()
        session.add(row)
    session.flush()
    after_commit(session, entered.forget)


def drop(session: Session, group: Group) -> None:
    """Forget all that was entered of a group, in the caller's transaction."""
    fields = GROUPS[group]
    names = [field.upper() for field in (*fields.leading, *fields.others)]
    session.exec(delete(EnteredSetting).where(col(EnteredSetting.name).in_(names)))
    after_commit(session, entered.forget)


def checked_address(text: str) -> str:
    """A public address like ``https://calendar.example.com``. :raises InvalidInput: it is none."""
    address = text.strip().rstrip("/").lower()
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 443) > 0
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable or parts.path or parts.query or parts.fragment or parts.username or len(address) > 300:
        raise InvalidInput(
            "This must be an address like https://calendar.example.com, without a path.", field="address"
        )
    return address
