"""Members and invitations of a workspace."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Key
from calendar_app.api.paging import After, Limit, cut
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.services.workspaces import team
from calendar_app.services.workspaces.team import InvitationView, MemberView

router = Router(prefix="/team", tags=["people"])


MemberRole = Literal["staff", "manager", "admin", "owner"]


class MemberList(BaseModel):
    items: list[MemberView]
    next: str | None = None


class InvitationList(BaseModel):
    items: list[InvitationView]
    next: str | None = None


class InvitationIn(Body):
    """Whom to ask, and for which role: `staff`, `manager`, `admin` or `owner`."""

    email: str = Field(max_length=320)
    role: MemberRole = "staff"


class RoleIn(Body):
    """A member's new role."""

    role: MemberRole


@router.get("")
def list_members(actor: CurrentActor, limit: Limit = 100, after: After = None) -> MemberList:
    """Everybody who works in the workspace."""
    items, more = cut(team.members(actor), limit, after, lambda one: (one.name, one.person_id))
    return MemberList(items=items, next=more)


@router.get("/invitations")
def list_invitations(actor: CurrentActor, limit: Limit = 100, after: After = None) -> InvitationList:
    """Invitations that nobody has followed yet."""
    items, more = cut(team.invitations(actor), limit, after, lambda one: (one.id,))
    return InvitationList(items=items, next=more)


@router.post("/invitations", status_code=201, responses=fails("already_member", "invalid_email"))
def invite_member(actor: CurrentActor, body: InvitationIn) -> InvitationView:
    """Send somebody an invitation by e-mail; an earlier one to the same address ends."""
    return team.invite(actor, body.email, body.role)


@router.delete("/invitations/{invitation_id}", status_code=204)
def withdraw_invitation(actor: CurrentActor, invitation_id: Key) -> None:
    """End an invitation."""
    team.withdraw(actor, invitation_id)


@router.patch("/{person_id}", status_code=204, responses=fails("last_owner"))
def change_member_role(actor: CurrentActor, person_id: Key, body: RoleIn) -> None:
    """Give a member another role, at most your own."""
    team.change_role(actor, person_id, body.role)


@router.delete(
    "/{person_id}", status_code=204, responses=fails("last_owner", "has_connections", "hosts_bookings")
)
def remove_member(actor: CurrentActor, person_id: Key) -> None:
    """Take a member out of the workspace."""
    team.remove(actor, person_id)
