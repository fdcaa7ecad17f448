"""Private links: an address that opens one event type, also one that is not public, for one booking or until an end.

The link's token is its row's id, signed (:mod:`calendar_app.services.common.signed_links`), so that staff can copy it
again and nobody can guess one. Deleting the row ends the link.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlmodel import Session, col, select

from calendar_app.db.session import clock, reading, transaction
from calendar_app.db.tables import BookingLink, EventType
from calendar_app.domain.intake import clean_text
from calendar_app.errors import Conflict, InvalidInput, NotFound
from calendar_app.services.common import audit_log, signed_links
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types import queries
from calendar_app.services.event_types.queries import PublicEventType, check_editor, owned, view_of

MOST = 200
"""Links of one event type."""


class LinkUsed(Conflict):
    """The link was for one booking, and that has been made; or its end has come."""

    code, title = "link_ended", "This link cannot be booked with any more"


@dataclass(frozen=True, slots=True)
class LinkView:
    """A private link. ``single_use``: for one booking; ``used``: that has been made. Datetimes are UTC."""

    id: str
    label: str
    url: str
    single_use: bool
    expires_at: datetime | None
    used: bool
    ended: bool
    created_at: datetime


def list_links(actor: Actor, event_type_id: str) -> list[LinkView]:
    """The links of an event type, the latest first. :raises NotFound: no such event type here."""
    with reading() as session:
        row = owned(session, actor, event_type_id)
        url, now = view_of(session, row).url, clock(session)
        query = select(BookingLink).where(BookingLink.event_type_id == row.id)
        return [_view(link, url, now) for link in session.exec(query.order_by(col(BookingLink.id).desc()))]


def create_link(
    actor: Actor,
    event_type_id: str,
    *,
    label: str = "",
    single_use: bool = True,
    expires_at: datetime | None = None,
) -> LinkView:
    """A new link. ``expires_at`` (aware): from then on nothing is booked with it.

    :raises InvalidInput: an end in the past, a label that is too long. :raises Conflict: ``too_many_links``.
    :raises Forbidden: staff make links to what only they host.
    """
    with transaction() as session:
        row = owned(session, actor, event_type_id)
        check_editor(session, actor, row)
        now = clock(session)
        if expires_at is not None and (expires_at.tzinfo is None or expires_at <= now):
            raise InvalidInput("A link ends in the future.", field="expires_at")
        if len(session.exec(select(BookingLink.id).where(BookingLink.event_type_id == row.id)).all()) >= MOST:
            raise Conflict(f"An event type has at most {MOST} links: delete some.", code="too_many_links")
        link = BookingLink(
            event_type_id=row.id,
            label=clean_text(label, "label", 100),
            single_use=single_use,
            expires_at=expires_at,
            created_at=now,
        )
        session.add(link)
        session.flush()
        _record(session, actor, "event_type.link_created", row, link)
        return _view(link, view_of(session, row).url, now)


def delete_link(actor: Actor, event_type_id: str, link_id: str) -> None:
    """End a link; bookings that were made with it stay. :raises NotFound: no such link."""
    with transaction() as session:
        row = owned(session, actor, event_type_id)
        check_editor(session, actor, row)
        link = session.get(BookingLink, link_id)
        if link is None or link.event_type_id != row.id:
            raise NotFound("There is no such link.")
        session.delete(link)
        _record(session, actor, "event_type.link_deleted", row, link)


def public_or_linked(
    workspace_slug: str, slug: str, token: str, *, ended_too: bool = False
) -> PublicEventType:
    """What a visitor with this link's token sees at ``/book/{workspace}/{event_type}``. ``ended_too``: also after
    the link has ended, for whoever began with it.

    :raises NotFound: no such page, or neither public nor opened by the link. :raises LinkUsed: as :func:`opens`.
    """
    return queries.public(workspace_slug, slug, partial(_opens_page, token=token, ended_too=ended_too))


def public_or_linked_by_id(event_type_id: str, token: str) -> PublicEventType:
    """As :func:`public_or_linked`, for the event type with this id. Errors likewise."""
    return queries.public_by_id(event_type_id, partial(_opens_page, token=token, ended_too=False))


def _opens_page(session: Session, row: EventType, *, token: str, ended_too: bool) -> bool:
    try:
        return opens(session, token, row)
    except LinkUsed:
        if ended_too:
            return True
        raise


def opens(session: Session, token: str, row: EventType, now: datetime | None = None) -> bool:
    """Whether a link's token opens this event type. :raises LinkUsed: it did, and has ended."""
    link = _find(session, token)
    if link is None or link.event_type_id != row.id:
        return False
    _check_open(link, now or clock(session))
    return True


def use(session: Session, token: str, event_type_id: str, booking_id: str, now: datetime) -> None:
    """Use a link up, in the transaction that books and has locked its event type.

    :raises LinkUsed: somebody was faster.
    """
    link = _find(session, token)
    if link is None or link.event_type_id != event_type_id:
        return
    session.refresh(link)
    _check_open(link, now)
    if link.single_use:
        link.booking_id = booking_id
        session.add(link)


def _find(session: Session, token: str) -> BookingLink | None:
    try:
        return session.get(BookingLink, signed_links.private_link_id(token)) if token else None
    except NotFound:
        return None


def _check_open(link: BookingLink, now: datetime) -> None:
    if link.single_use and link.booking_id:
        raise LinkUsed("This link was for one booking, which has been made.")
    if link.expires_at is not None and link.expires_at <= now:
        raise LinkUsed("This link has ended. Please ask for a new one.")


def _record(session: Session, actor: Actor, action: str, row: EventType, link: BookingLink) -> None:
    audit_log.record(session, row.workspace_id, actor, action, "event_type", row.id, link=link.id)


def _view(link: BookingLink, url: str, now: datetime) -> LinkView:
    used = link.single_use and link.booking_id is not None
    ended = used or (link.expires_at is not None and link.expires_at <= now)
    address = f"{url}?link={signed_links.private_link_token(link.id)}"
    return LinkView(
        link.id, link.label, address, link.single_use, link.expires_at, used, ended, link.created_at
    )
