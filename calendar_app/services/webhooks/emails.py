"""Emails to the owners of a workspace about a receiver that does not take what it is told.

Everything here queues in the caller's transaction (:func:`calendar_app.services.mail.outbox.queue`).
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from calendar_app.db.tables import Membership, Person, WebhookSubscription
from calendar_app.services.common.permissions import Role
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail import rendering as mail_rendering
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import get_settings


def receiver_is_failing(session: Session, row: WebhookSubscription, since: datetime, reason: str) -> None:
    """Once for each time that a receiver stops to take messages: it has taken none for a day."""
    _to_owners(
        session,
        row,
        f"{row.id}:webhook_failing:{since.isoformat()}",
        "A webhook has not been taken for a day",
        f"since {{since}}, nothing that we sent to\n{row.url}\nwas taken. What we were told last: {reason}\n\n"
        "We go on trying, at most once an hour, until three days are over. Then nothing more is sent there until "
        "you switch it on again; what was not taken is kept and can be sent again.",
        since,
    )


def receiver_is_disabled(session: Session, row: WebhookSubscription, since: datetime, reason: str) -> None:
    """A receiver has taken nothing for three days."""
    _to_owners(
        session,
        row,
        f"{row.id}:webhook_disabled:{since.isoformat()}",
        "A webhook was switched off",
        f"since {{since}}, nothing that we sent to\n{row.url}\nwas taken, so nothing more is sent there. "
        f"What we were told last: {reason}\n\n"
        "Once it works again, switch it on and have what happened meanwhile sent again.",
        since,
    )


def receiver_is_gone(session: Session, row: WebhookSubscription, at: datetime) -> None:
    """A receiver answered 410: it wants no more."""
    _to_owners(
        session,
        row,
        f"{row.id}:webhook_ended:{at.isoformat()}",
        "A webhook has ended",
        f"on {{since}},\n{row.url}\nanswered that it is gone (410). Nothing more is sent there.\n\n"
        "If that was a mistake, switch it on again.",
        at,
    )


def _to_owners(
    session: Session, row: WebhookSubscription, occasion: str, subject: str, text: str, at: datetime
) -> None:
    query = (
        select(Person)
        .join(Membership, col(Membership.person_id) == col(Person.id))
        .where(Membership.workspace_id == row.workspace_id, Membership.role == Role.OWNER)
        .order_by(col(Person.id))
    )
    for owner in session.exec(query).all():
        since = f"{mail_rendering.long_time(at, owner.timezone)} ({owner.timezone})"
        body = f"Hello {owner.name},\n\n{text.replace('{since}', since)}\n\n"
        mail_outbox.queue(
            session,
            Draft(
                workspace_id=row.workspace_id,
                booking_id=None,
                kind="webhook",
                dedupe=f"{occasion}:{owner.email}",
                recipient=owner.email,
                subject=subject,
                body=f"{body}Deliveries, answers and what to do:\n{get_settings().public_url}/settings/webhooks\n",
            ),
        )
