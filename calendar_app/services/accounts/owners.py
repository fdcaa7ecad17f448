"""Accounts that an operator makes or brings back from a shell: the first owner of an installation, a lost password."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session, col, select

from calendar_app.db.locks import locked_one
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuthSession, Membership, Person, Workspace
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.services.accounts import account_security, authentication, new_workspace, passwords
from calendar_app.services.accounts import sessions as browser_sessions
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Role


@dataclass(frozen=True, slots=True)
class MadeOwner:
    """``created``: the account is new, with the password that was given; else its own stays."""

    created: bool
    sentence: str


def make_owner(
    email: str, password: str, *, name: str = "", workspace: str = "", timezone: str = "UTC"
) -> MadeOwner:
    """Somebody who owns the workspace of that slug, or a new one; their account is made if there is none.

    :raises NotFound: no such workspace. :raises InvalidInput: the address, password or zone is unusable.
    """
    address = authentication.normal_email(email)
    with transaction() as session:
        person = session.exec(select(Person).where(Person.email == address)).first()
        created = person is None
        if person is None:
            person = Person(
                email=address,
                name=name or address.partition("@")[0],
                timezone=authentication.zone(timezone),
                password_hash=passwords.hashed(passwords.checked(password)),
            )
            session.add(person)
            session.flush()
        place = _workspace(session, workspace, person)
        audit_log.record(
            session, place.id, audit_log.Party.SYSTEM, "owner.made", "person", person.id, email=address
        )
    what = (
        f"A new account {address}"
        if created
        else f"The account {address}, which existed and keeps its password,"
    )
    return MadeOwner(created, f"{what} owns the workspace {place.slug}.")


def reset_password(email: str, password: str) -> int:
    """A new password for an account; how many sessions that ended. Tokens that may manage the account end as well.

    :raises NotFound: nobody has this address. :raises InvalidInput: the password is too weak.
    """
    address = authentication.normal_email(email)
    with reading() as session:
        found = session.exec(select(Person.id).where(Person.email == address)).first()
    if found is None:
        raise NotFound("There is no account with this e-mail address.")
    kept = passwords.hashed(passwords.checked(password))
    with transaction() as session:
        person = locked_one(session, Person, found)
        person.password_hash = kept
        session.add(person)
        ended = browser_sessions.end_sessions(session, col(AuthSession.person_id) == person.id)
        account_security.end_tokens_of(session, person.id)
        for workspace_id in session.exec(
            select(Membership.workspace_id).where(Membership.person_id == person.id)
        ).all():
            audit_log.record(
                session, workspace_id, audit_log.Party.SYSTEM, "password.reset", "person", person.id
            )
    return ended


def _workspace(session: Session, slug: str, person: Person) -> Workspace:
    """The workspace, of which the person is an owner afterwards."""
    if not slug:
        return new_workspace.new_workspace(session, person, f"{person.name}’s workspace")
    place = session.exec(select(Workspace).where(Workspace.slug == slug)).first()
    if place is None:
        raise NotFound(f"There is no workspace {slug!r}.")
    member = session.exec(
        select(Membership).where(Membership.workspace_id == place.id, Membership.person_id == person.id)
    ).first()
    if member is None:
        member = Membership(workspace_id=place.id, person_id=person.id, role=Role.OWNER.value)
    elif member.role == Role.OWNER:
        raise InvalidInput(f"{person.email} owns {slug} already.", code="owner_already")
    member.role = Role.OWNER.value
    session.add(member)
    return place
