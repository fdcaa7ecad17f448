"""This installation among others that may write to the same calendars: its id, and when a backup was put back.

A calendar program copies marks as it copies events, and a staging system often holds the accounts of the real one. So
an event says which installation wrote it, and for which event type and whose zone, which is what a booking needs that
only stands in a calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db.ids import new_id
from calendar_app.db.session import transaction
from calendar_app.db.tables import (
    Booking,
    Calendar,
    Channel,
    Connection,
    EnteredSetting,
    Installation,
    WebhookDelivery,
    WebhookSubscription,
)
from calendar_app.domain.connection import USABLE, ConnectionStatus
from calendar_app.domain.webhook import DeliveryState, SubscriptionState
from calendar_app.providers import registry

_PARTS = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event of a booking comes from. ``zone`` is the customer's, an IANA name."""

    installation_id: str
    event_type_id: str
    zone: str


def own(session: Session) -> Installation | None:
    """The one row; ``None`` only before the migration that makes it."""
    return session.exec(select(Installation).order_by(col(Installation.created_at))).first()


def mark(session: Session, booking: Booking) -> str:
    """What an event of the booking says of its origin; :func:`origin` reads it."""
    row = own(session)
    return f"{row.id if row else ''} {booking.event_type_id} {booking.timezone}".strip()


def origin(text: str) -> Origin | None:
    """What a mark says; ``None`` for events of releases that did not say it."""
    parts = text.split()
    return Origin(*parts) if len(parts) == _PARTS else None


def older_code_runs(session: Session, now: datetime) -> bool:
    """Whether processes of the release before may read what this one writes."""
    row = own(session)
    return row is not None and row.older_code_until is not None and now < row.older_code_until


def after_restore(*, as_copy: bool = False, now: datetime | None = None) -> int:
    """Trust nothing that was known of calendars when the backup was made; how many calendars are read anew.

    Each counts as never read until it has been read in full, and so as busy throughout. Channels of before the restore
    are forgotten, and opened again. ``as_copy``: this is another installation from now on, whose events are not those
    of the one that the backup is of; it loses the access to people's accounts, to which it would write.
    """
    now = now or utc_now()
    readable = select(Connection.id).where(col(Connection.provider).not_in(registry.unread()))
    with transaction() as session:
        found = session.execute(
            update(Calendar)
            .where(col(Calendar.connection_id).in_(readable))
            .values(
                synced_at=None,
                full_synced_at=None,
                sync_cursor=None,
                sync_requested_at=now,
                sync_lease_until=None,
                sync_retry_at=None,
                failures=0,
            )
        )
        session.execute(delete(Channel))
        row = own(session) or Installation()
        if as_copy:
            session.execute(delete(Installation))
            session.execute(delete(EnteredSetting))  # its address, its clients at providers, its mail server
            row = Installation(id=new_id(), set_up_at=row.set_up_at, owner_id=row.owner_id)
            _give_up_accounts(session)
            _stop_webhooks(session)
        row.restored_at = now
        session.add(row)
        return int(getattr(found, "rowcount", 0))


def _stop_webhooks(session: Session) -> None:
    """A copy tells nobody what the installation that it was made of tells them already."""
    session.execute(update(WebhookSubscription).values(state=SubscriptionState.PAUSED))
    waiting = update(WebhookDelivery).where(col(WebhookDelivery.state) == DeliveryState.WAITING)
    session.execute(waiting.values(state=DeliveryState.DROPPED))


def _give_up_accounts(session: Session) -> None:
    working = update(Connection).where(col(Connection.status).in_(USABLE))
    session.execute(
        working.values(
            status=ConnectionStatus.NEEDS_RECONNECT,
            access_token=None,
            refresh_token=None,
            last_error="This is a copy of another installation: connect the account again.",
        )
    )
