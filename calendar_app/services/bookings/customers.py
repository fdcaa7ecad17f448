"""Customers who see all their bookings: signed in by a link that is sent to their address, without a password.

A link is worth one sign-in within :data:`LINK_LIFE`. Link and session are 256 random bits each, of which the database
keeps the SHA-256. Who asks for a link learns nothing of whether the address has bookings: nothing is sent where it has
none, and the answer is the same. A customer has the role of one in every business that they booked at, and no account:
no password, no API tokens, no feed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, delete, func, select

from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import Booking, CustomerSession, Workspace
from calendar_app.domain.intake import clean_email
from calendar_app.errors import NotFound
from calendar_app.services.accounts.authentication import Identity, WorkspaceRef, digest
from calendar_app.services.bookings import views as booking_views
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common import rate_limits
from calendar_app.services.common.permissions import Role
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import current_settings

COOKIE = "almanac_customer"
LINK_LIFE, SESSION_LIFE = timedelta(minutes=15), timedelta(days=14)
LINKS_OF_CLIENT, LINKS_TO_ADDRESS, ENTRIES_OF_CLIENT = "20/hour", "5/hour", "60/hour"
MOST = 200
"""Bookings that one page shows, the latest first."""
_LONGEST = 100
_GONE = "This sign-in link has been used, or is too old. Ask for a new one."


@dataclass(frozen=True, slots=True)
class Customer:
    """Who is signed in. ``email`` is in lower case."""

    session_id: str
    email: str


def check_wish(email: str, client: str) -> str:
    """The address that a link may be sent to, in lower case; counted for the address and for ``client``, whether or not
    there is anything to be sent.

    :raises InvalidInput: it is no address. :raises TooManyRequests: too many links were asked for.
    """
    address = clean_email(email).lower()
    rate_limits.check("customer-links", client, LINKS_OF_CLIENT)
    rate_limits.check("customer-links-to", address, LINKS_TO_ADDRESS)
    return address


def send_link(
    email: str, write: Callable[[str], tuple[str, str]], *, language: str = "", now: datetime | None = None
) -> None:
    """Send a link to ``email``, from :func:`check_wish`, if anything was booked with it. ``write`` makes subject and
    text of the link's address, in the ``language`` of this tag."""
    now, secret = now or clock(), secrets.token_urlsafe(32)
    with transaction() as session:
        session.exec(
            delete(CustomerSession).where(
                func.coalesce(col(CustomerSession.expires_at), col(CustomerSession.link_expires_at)) <= now
            )
        )
        latest = select(Booking).where(_of(email)).order_by(col(Booking.created_at).desc()).limit(1)
        booking = session.exec(latest).first()
        if booking is None:
            return
        row = CustomerSession(
            email=email, link_hash=digest(secret), link_expires_at=now + LINK_LIFE, created_at=now
        )
        session.add(row)
        session.flush()
        subject, body = write(f"{current_settings().public_url}/my/enter/{secret}")
        draft = Draft(
            workspace_id=booking.workspace_id,
            booking_id=None,
            kind="customer_sign_in",
            dedupe=f"{row.id}:customer_sign_in",
            recipient=email,
            subject=subject,
            body=body,
            language=language,
        )
        mail_outbox.queue(session, draft)


def enter(secret: str, *, client: str = "", now: datetime | None = None) -> str:
    """Use a link up; the session's secret, for the cookie. :raises NotFound: it is unknown, used or too old."""
    now, token = now or clock(), secrets.token_urlsafe(32)
    rate_limits.check("customer-entries", client, ENTRIES_OF_CLIENT)
    query = select(CustomerSession).where(CustomerSession.link_hash == digest(secret[:_LONGEST]))
    with transaction() as session:
        row = session.exec(query.with_for_update()).first()
        if row is None or row.token_hash is not None or row.link_expires_at <= now:
            raise NotFound(_GONE)
        row.token_hash, row.expires_at = digest(token), now + SESSION_LIFE
        session.add(row)
    return token


def identify(token: str, *, now: datetime | None = None) -> Customer | None:
    """Who holds this cookie; ``None`` if the session is unknown or over."""
    with reading() as session:
        row = _session(session, token, now)
        return Customer(row.id, row.email) if row else None


def sign_out(token: str) -> None:
    """End the session; an unknown one has ended already."""
    with transaction() as session:
        session.exec(delete(CustomerSession).where(col(CustomerSession.token_hash) == digest(token)))


def identity(token: str, *, now: datetime | None = None) -> Identity | None:
    """The customer as a caller of the API: with the role customer in every workspace that they booked at."""
    with reading() as session:
        row = _session(session, token, now)
        if row is None:
            return None
        booked = select(Booking.workspace_id).where(_of(row.email))
        places = session.exec(select(Workspace).where(col(Workspace.id).in_(booked)).order_by(Workspace.name))
        refs = tuple(
            WorkspaceRef(place.id, place.slug, place.name, place.timezone, Role.CUSTOMER) for place in places
        )
        zone = refs[0].timezone if refs else "UTC"
        return Identity("", row.email, "", zone, row.id, refs, scopes=("read", "write"))


def bookings(customer: Customer) -> list[BookingView]:
    """Everything that was booked with the customer's address, at any business, the latest start first."""
    with reading() as session:
        query = select(Booking).where(_of(customer.email)).order_by(col(Booking.start_at).desc()).limit(MOST)
        return booking_views.views(session, session.exec(query).all(), full=False)


def _session(session: Session, token: str, now: datetime | None) -> CustomerSession | None:
    query = select(CustomerSession).where(CustomerSession.token_hash == digest(token[:_LONGEST]))
    row = session.exec(query).first()
    return (
        row if row is not None and row.expires_at is not None and row.expires_at > (now or clock()) else None
    )


def _of(email: str) -> ColumnElement[bool]:
    return func.lower(col(Booking.email)) == email.lower()
