"""Emails to the owners of a workspace about a receiver that does not take what it is told.

They are written in the workspace's language, with times in their reader's zone. Everything here queues in the caller's
transaction (:func:`calendar_app.services.mail.outbox.queue`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlmodel import Session, col, select

from calendar_app import translations
from calendar_app.db.tables import Membership, Person, WebhookSubscription, Workspace
from calendar_app.services.common.permissions import Role
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.mail.outbox import Draft
from calendar_app.settings import current_settings
from calendar_app.translations import Language, formats, zones

Texts = Callable[[Callable[[str], str]], tuple[str, ...]]
"""The subject and the paragraphs, given how a sentence is translated."""


def receiver_is_failing(session: Session, row: WebhookSubscription, since: datetime, reason: str) -> None:
    """Once for each time that a receiver stops to take messages: it has taken none for a day."""

    def texts(_: Callable[[str], str]) -> tuple[str, ...]:
        return (
            _("A webhook has not been taken for a day"),
            _("Since %(since)s, nothing that we sent to %(url)s was taken. What we are told: %(reason)s"),
            _(
                "We go on trying, at most once an hour, until three days are over. Then nothing more is sent there "
                "until you switch it on again; what was not taken is kept and can be sent again."
            ),
        )

    _to_owners(session, row, f"{row.id}:webhook_failing:{since.isoformat()}", texts, since, reason)


def receiver_is_disabled(session: Session, row: WebhookSubscription, since: datetime, reason: str) -> None:
    """A receiver has taken nothing for three days."""

    def texts(_: Callable[[str], str]) -> tuple[str, ...]:
        return (
            _("A webhook was switched off"),
            _(
                "Since %(since)s, nothing that we sent to %(url)s was taken, so nothing more is sent there. "
                "What we were told last: %(reason)s"
            ),
            _("Once it works again, switch it on and have what happened meanwhile sent again."),
        )

    _to_owners(session, row, f"{row.id}:webhook_disabled:{since.isoformat()}", texts, since, reason)


def receiver_is_gone(session: Session, row: WebhookSubscription, at: datetime) -> None:
    """A receiver answered 410: it wants no more."""

    def texts(_: Callable[[str], str]) -> tuple[str, ...]:
        return (
            _("A webhook has ended"),
            _("On %(since)s, %(url)s answered that it is gone (410). Nothing more is sent there."),
            _("If that was a mistake, switch it on again."),
        )

    _to_owners(session, row, f"{row.id}:webhook_ended:{at.isoformat()}", texts, at, "")


def _to_owners(
    session: Session, row: WebhookSubscription, occasion: str, texts: Texts, at: datetime, reason: str
) -> None:
    workspace = session.get_one(Workspace, row.workspace_id)
    query = (
        select(Person)
        .join(Membership, col(Membership.person_id) == col(Person.id))
        .where(Membership.workspace_id == row.workspace_id, Membership.role == Role.OWNER)
        .order_by(col(Person.id))
    )
    for owner in session.exec(query).all():
        language = translations.of_tag(workspace.language, owner.timezone)
        values = {"since": _moment(at, owner, language), "url": row.url, "reason": reason}
        subject, *paragraphs = texts(language.gettext)
        greeting = language.gettext("Hello %(name)s,") % {"name": owner.name}
        page = f"{current_settings().public_url}/settings/webhooks"
        last = language.gettext("Deliveries, answers and what to do:") + f"\n{page}"
        mail_outbox.queue(
            session,
            Draft(
                workspace_id=row.workspace_id,
                booking_id=None,
                kind="webhook",
                dedupe=f"{occasion}:{owner.email}",
                recipient=owner.email,
                subject=subject,
                body="\n\n".join([greeting, *(one % values for one in paragraphs), last]) + "\n",
                language=language.tag,
            ),
        )


def _moment(at: datetime, owner: Person, language: Language) -> str:
    """The moment in the owner's zone, which is named."""
    locale = language.locale
    return f"{formats.moment(at, owner.timezone, locale)} ({zones.place(owner.timezone, locale).city})"
