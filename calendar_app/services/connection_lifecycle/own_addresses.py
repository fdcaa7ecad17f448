"""The addresses of an account's owner that the owner gives, because their server may not tell them.

By them the owner's own answer to an invitation is found (RFC 5545 §3.2.12), so that what they declined takes no time.
They stay with the connection when it is connected again.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from email_validator import EmailNotValidError, validate_email
from sqlmodel import Session, col, select

from calendar_app.db.session import after_commit, transaction
from calendar_app.db.tables import Calendar
from calendar_app.errors import Conflict, InvalidInput
from calendar_app.providers import registry
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections.calendars import lock_calendars
from calendar_app.services.connections.queries import owned, title

MOST = 20
"""Addresses of one account."""


def change(actor: Actor, connection_id: str, addresses: Iterable[str]) -> bool:
    """Let these be the owner's addresses, and read the account's calendars anew; whether anything changed.

    :raises NotFound: not there, or not the actor's. :raises InvalidInput: ``invalid_email``, too many.
    :raises Conflict: ``addresses_not_asked``, the provider tells the owner's answers itself.
    """
    wanted = list(dict.fromkeys(_address(text) for text in addresses if text.strip()))
    if len(wanted) > MOST:
        raise InvalidInput(f"At most {MOST} addresses can be kept.", field="addresses")
    with transaction() as session:
        lock_calendars(session, connection_id)
        row = owned(session, actor, connection_id, lock=True)
        if not registry.kind(row.provider).asks_addresses:
            raise Conflict(
                f"{title(row.provider)} tells by itself which invitations were declined.",
                code="addresses_not_asked",
            )
        if wanted == row.addresses:
            return False
        row.addresses = wanted
        session.add(row)
        _read_anew(session, row.id)
        audit_log.record(
            session,
            actor.workspace_id,
            actor,
            "connection.addresses_changed",
            "connection",
            row.id,
            count=len(wanted),
        )
        change_events.announce(session, actor.workspace_id, "connections")
    return True


def _read_anew(session: Session, connection_id: str) -> None:
    """Have every calendar listed in full; a reading that is under way has judged by the old addresses, and ends."""
    calendars = select(Calendar).where(
        Calendar.connection_id == connection_id, col(Calendar.removed_at).is_(None)
    )
    for calendar in session.exec(calendars.execution_options(populate_existing=True)):
        calendar.sync_cursor, calendar.sync_lease_until, calendar.sync_fence = (
            None,
            None,
            calendar.sync_fence + 1,
        )
        session.add(calendar)
        after_commit(session, partial(sync_requests.request, calendar.id))


def _address(text: str) -> str:
    """The address in lower case and normal form; servers in a local network have names that no other place knows.

    :raises InvalidInput: ``invalid_email``.
    """
    plain = text.strip()
    plain = plain[7:] if plain[:7].lower() == "mailto:" else plain
    try:
        found = validate_email(plain, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise InvalidInput(
            f"“{plain[:80]}” is not an e-mail address.", field="addresses", code="invalid_email"
        ) from None
    return found.normalized.lower()
