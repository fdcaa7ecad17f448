"""Who works in a workspace: members and their roles, and invitations by e-mail.

An invitation is a link with 256 random bits, of which the database keeps the digest. It works once, for the address it
was sent to, and for a week: who signs in or signs up with that address joins. Nobody can give a role above their own,
and a workspace never loses its last owner.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, delete, select

from calendar_app import translations
from calendar_app.clock import utc_now
from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import (
    Booking,
    BookingHost,
    Connection,
    EventType,
    EventTypeHost,
    Invitation,
    Membership,
    Person,
    Schedule,
    Workspace,
)
from calendar_app.domain.booking import Status
from calendar_app.domain.connection import ConnectionStatus
from calendar_app.errors import Conflict, Forbidden, InvalidInput, NotFound
from calendar_app.services.accounts import authentication, new_workspace
from calendar_app.services.accounts.authentication import Identity, SignedIn
from calendar_app.services.common import audit_log, change_events, rate_limits
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.settings import current_settings

LIFE = timedelta(days=7)
PER_WORKSPACE, PER_ADDRESS = "50/day", "5/day"
"""Invitations of one workspace, and those to one address from all of them, as anybody can make a workspace."""
INVITABLE = (Role.STAFF, Role.MANAGER, Role.ADMIN, Role.OWNER)
_GONE = "This invitation is not valid any more. Ask whoever invited you for a new one."


@dataclass(frozen=True, slots=True)
class MemberView:
    """Somebody of the workspace. ``connections`` counts live accounts, ``upcoming`` bookings that they still host."""

    person_id: str
    name: str
    email: str
    role: Role
    joined_at: datetime
    connections: int
    upcoming: int


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation that nobody has followed yet."""

    id: str
    email: str
    role: Role
    expires_at: datetime
    expired: bool


@dataclass(frozen=True, slots=True)
class InvitationInfo:
    """What the holder of an invitation link may know; ``has_account``: the address can sign in."""

    workspace_name: str
    email: str
    role: Role
    invited_by: str
    has_account: bool


def members(actor: Actor, *, now: datetime | None = None) -> list[MemberView]:
    """Everybody who works here, by name. :raises Forbidden: customers."""
    actor.require(Role.STAFF)
    now = now or utc_now()
    accounts_of = (
        select(Connection.person_id, func.count())
        .where(
            Connection.workspace_id == actor.workspace_id, Connection.status != ConnectionStatus.DISCONNECTED
        )
        .group_by(col(Connection.person_id))
    )
    people = (
        select(Person, Membership)
        .join(Membership, col(Membership.person_id) == col(Person.id))
        .where(Membership.workspace_id == actor.workspace_id)
        .order_by(col(Person.name), col(Person.id))
    )
    with reading() as session:
        connected = dict(session.exec(accounts_of).all())
        hosted = _upcoming(session, actor.workspace_id, now)
        return [
            MemberView(
                person.id,
                person.name,
                person.email,
                Role(member.role),
                member.created_at,
                connected.get(person.id, 0),
                hosted.get(person.id, 0),
            )
            for person, member in session.exec(people)
            if Role(member.role) >= Role.STAFF
        ]


def invitations(actor: Actor, *, now: datetime | None = None) -> list[InvitationView]:
    """Invitations that are open, oldest first. :raises Forbidden: below admin."""
    actor.require(Role.ADMIN)
    now = now or utc_now()
    query = select(Invitation).where(
        Invitation.workspace_id == actor.workspace_id, col(Invitation.accepted_at).is_(None)
    )
    with reading() as session:
        return [_view(row, now) for row in session.exec(query.order_by(col(Invitation.created_at)))]


def invite(actor: Actor, email: str, role: str, *, now: datetime | None = None) -> InvitationView:
    """Send an invitation; an earlier one to the same address ends.

    :raises Forbidden: below admin, or a role above one's own. :raises InvalidInput: the address or the role.
    :raises Conflict: ``already_member``. :raises TooManyRequests: more than a business needs in a day.
    """
    actor.require(Role.ADMIN)
    address, wanted = authentication.normal_email(email), _role(actor, role)
    rate_limits.check("invitations", actor.workspace_id, PER_WORKSPACE)
    rate_limits.check("invitations-to", address, PER_ADDRESS)
    now, token = now or utc_now(), secrets.token_urlsafe(32)
    with transaction() as session:
        workspace = locked_one(session, Workspace, actor.workspace_id)
        if _member_by_email(session, workspace.id, address) is not None:
            raise Conflict(f"{address} works here already.", code="already_member")
        session.exec(
            delete(Invitation).where(
                col(Invitation.workspace_id) == workspace.id,
                col(Invitation.email) == address,
                col(Invitation.accepted_at).is_(None),
            )
        )
        row = Invitation(
            workspace_id=workspace.id,
            email=address,
            role=wanted.value,
            token_hash=authentication.digest(token),
            invited_by=actor.person_id,
            created_at=now,
            expires_at=now + LIFE,
        )
        session.add(row)
        session.flush()
        mail_outbox.queue(session, _letter(workspace, row, actor, token))
        _record(session, actor, "team.invited", "invitation", row.id, email=address, role=wanted.value)
        return _view(row, now)


def withdraw(actor: Actor, invitation_id: str) -> None:
    """End an invitation. :raises NotFound: there is none. :raises Forbidden: below admin."""
    actor.require(Role.ADMIN)
    with transaction() as session:
        row = session.get(Invitation, invitation_id)
        if row is None or row.workspace_id != actor.workspace_id or row.accepted_at is not None:
            raise NotFound("There is no such invitation.")
        session.delete(row)
        _record(session, actor, "team.invitation_withdrawn", "invitation", row.id, email=row.email)


def look(token: str, *, now: datetime | None = None) -> InvitationInfo:
    """What the link's holder is invited to. :raises NotFound: unknown, used, withdrawn or too old."""
    with reading() as session:
        row = _open(session, token, now or utc_now())
        workspace = session.get_one(Workspace, row.workspace_id)
        host = session.get(Person, row.invited_by)
        account = session.exec(select(Person.id).where(Person.email == row.email)).first()
        return InvitationInfo(
            workspace.name, row.email, Role(row.role), host.name if host else "", account is not None
        )


def accept(identity: Identity, token: str, *, now: datetime | None = None) -> str:
    """Join; the workspace's id. :raises NotFound: no such invitation. :raises Forbidden: it is for another address."""
    with transaction() as session:
        person = session.get_one(Person, identity.person_id)
        return _join(session, person, token, now or utc_now())


def sign_up(
    token: str, name: str, email: str, password: str, timezone: str, *, user_agent: str = "", client: str = ""
) -> SignedIn:
    """An account for somebody who was invited, in the workspace of the invitation and no other.

    Errors as of :func:`accounts.sign_up` and :func:`accept`.
    """
    now = utc_now()
    return authentication.sign_up(
        name,
        email,
        password,
        "",
        timezone,
        user_agent=user_agent,
        client=client,
        place=lambda session, person: _join(session, person, token, now),
        proven=True,
    )


def change_role(actor: Actor, person_id: str, role: str) -> None:
    """Give a member another role.

    :raises Forbidden: below admin, or about a role above one's own. :raises NotFound: no such member.
    :raises Conflict: ``last_owner``.
    """
    actor.require(Role.ADMIN)
    wanted = _role(actor, role)
    with transaction() as session:
        member = _locked(session, actor, person_id)
        if wanted is not Role.OWNER:
            _keep_an_owner(session, member)
        before, member.role = member.role, wanted.value
        session.add(member)
        _take_back_invitations(session, member)
        _record(session, actor, "team.role_changed", "person", person_id, before=before, role=wanted.value)


def remove(actor: Actor, person_id: str, *, now: datetime | None = None) -> None:
    """Take a member out: they see nothing of the workspace from now on, and no event type has them as a host.

    :raises Forbidden: below admin, or somebody above oneself. :raises NotFound: no such member.
    :raises Conflict: ``last_owner``; ``hosts_bookings`` or ``has_connections``, which have to be dealt with first.
    """
    actor.require(Role.ADMIN)
    with transaction() as session:
        member = _locked(session, actor, person_id)
        _keep_an_owner(session, member)
        hosted = _upcoming(session, actor.workspace_id, now or utc_now()).get(person_id, 0)
        if hosted:
            raise Conflict(
                f"They still host {hosted} upcoming booking{'s' if hosted != 1 else ''}: "
                "cancel or finish those first.",
                code="hosts_bookings",
            )
        connected = session.exec(
            select(Connection.id).where(
                Connection.workspace_id == actor.workspace_id,
                Connection.person_id == person_id,
                Connection.status != ConnectionStatus.DISCONNECTED,
            )
        ).first()
        if connected is not None:
            raise Conflict("Disconnect their calendars first.", code="has_connections")
        kinds = select(EventType.id).where(EventType.workspace_id == actor.workspace_id)
        session.exec(
            delete(EventTypeHost).where(
                col(EventTypeHost.person_id) == person_id, col(EventTypeHost.event_type_id).in_(kinds)
            )
        )
        session.delete(member)
        _take_back_invitations(session, member, everything=True)
        _record(session, actor, "team.removed", "person", person_id)


def _join(session: Session, person: Person, token: str, now: datetime) -> str:
    row = _open(session, token, now)
    if row.email != person.email:
        raise Forbidden(
            f"This invitation is for {row.email}. Sign in with that address.", code="other_address"
        )
    row.accepted_at = now
    session.add(row)
    if _member_by_email(session, row.workspace_id, person.email) is None:
        session.add(
            Membership(workspace_id=row.workspace_id, person_id=person.id, role=row.role, created_at=now)
        )
        session.add(
            Schedule(
                workspace_id=row.workspace_id,
                person_id=person.id,
                timezone=person.timezone,
                weekly=new_workspace.WEEKLY,
            )
        )
    session.flush()
    joined = Actor(person.id, row.workspace_id, Role(row.role), person.email, person.name, person.timezone)
    audit_log.record(session, row.workspace_id, joined, "team.joined", "person", person.id, role=row.role)
    workspace_id = row.workspace_id
    change_events.announce(session, workspace_id, "team")
    return workspace_id


def _open(session: Session, token: str, now: datetime) -> Invitation:
    query = select(Invitation).where(Invitation.token_hash == authentication.digest(token)).with_for_update()
    row = session.exec(query).first()
    if row is None or row.accepted_at is not None or row.expires_at <= now:
        raise NotFound(_GONE, code="invitation_invalid")
    return row


def _role(actor: Actor, role: str) -> Role:
    if role not in [one.value for one in INVITABLE]:
        raise InvalidInput(f"A role is one of {', '.join(INVITABLE)}.", field="role")
    if actor.role < role:
        raise Forbidden("Nobody can give a role above their own.")
    return Role(role)


def _locked(session: Session, actor: Actor, person_id: str) -> Membership:
    """The member's row, with every owner's locked, so that two owners cannot leave at the same moment."""
    session.exec(
        select(Membership.id)
        .where(Membership.workspace_id == actor.workspace_id, Membership.role == Role.OWNER.value)
        .order_by(col(Membership.id))
        .with_for_update()
    ).all()
    member = session.exec(
        select(Membership)
        .where(Membership.workspace_id == actor.workspace_id, Membership.person_id == person_id)
        .with_for_update()
    ).first()
    if member is None:
        raise NotFound("There is no such member.")
    if actor.role < member.role:
        raise Forbidden("Their role is above yours.")
    return member


def _take_back_invitations(session: Session, member: Membership, *, everything: bool = False) -> None:
    """End the open invitations that the member sent and could not send any more: no way back in, nor for friends."""
    mine = select(Invitation).where(
        Invitation.workspace_id == member.workspace_id,
        Invitation.invited_by == member.person_id,
        col(Invitation.accepted_at).is_(None),
    )
    role = Role(member.role)
    for row in session.exec(mine):
        if everything or role < Role.ADMIN or role < row.role:
            session.delete(row)


def _keep_an_owner(session: Session, member: Membership) -> None:
    if member.role != Role.OWNER.value:
        return
    others = session.exec(
        select(Membership.id).where(
            Membership.workspace_id == member.workspace_id,
            Membership.role == Role.OWNER.value,
            Membership.id != member.id,
        )
    ).first()
    if others is None:
        raise Conflict("A workspace needs an owner: make somebody else owner first.", code="last_owner")


def _member_by_email(session: Session, workspace_id: str, email: str) -> str | None:
    return session.exec(
        select(Membership.id)
        .join(Person, col(Person.id) == col(Membership.person_id))
        .where(Membership.workspace_id == workspace_id, Person.email == email)
    ).first()


def _upcoming(session: Session, workspace_id: str, now: datetime) -> dict[str, int]:
    query = (
        select(BookingHost.person_id, func.count())
        .join(Booking, col(Booking.id) == col(BookingHost.booking_id))
        .where(Booking.workspace_id == workspace_id, col(Booking.end_at) > now)
        .where(col(Booking.status).in_((Status.PENDING.value, Status.CONFIRMED.value)))
        .group_by(col(BookingHost.person_id))
    )
    return dict(session.exec(query).all())


def _view(row: Invitation, now: datetime) -> InvitationView:
    return InvitationView(row.id, row.email, Role(row.role), row.expires_at, row.expires_at <= now)


def _letter(workspace: Workspace, row: Invitation, actor: Actor, token: str) -> mail_outbox.Draft:
    language = translations.of_tag(workspace.language, workspace.timezone)
    _ = language.gettext
    named = {"person": actor.name or actor.email, "workspace": workspace.name}
    text = (
        _("Hello,"),
        _("%(person)s invites you to work in “%(workspace)s” on Almanac.") % named,
        _("Accept the invitation:") + f"\n{current_settings().public_url}/join/{token}",
        _(
            "The link works once, for this address, and for seven days. If you do not know what this is about, "
            "nothing happens unless you follow it."
        ),
    )
    return mail_outbox.Draft(
        workspace_id=workspace.id,
        booking_id=None,
        kind="invitation",
        dedupe=f"{row.id}:invitation",
        recipient=row.email,
        subject=_("You are invited to %(workspace)s") % named,
        body="\n\n".join(text) + "\n",
        language=language.tag,
        reply_to=actor.email,
    )


def _record(session: Session, actor: Actor, action: str, kind: str, subject_id: str, **detail: str) -> None:
    audit_log.record(session, actor.workspace_id, actor, action, kind, subject_id, **detail)
    change_events.announce(session, actor.workspace_id, "team")
