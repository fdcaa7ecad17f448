"""Members and invitations of a workspace."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Key
from calendar_app.services.workspaces import team
from calendar_app.services.workspaces.team import InvitationView, MemberView

router = APIRouter(prefix="/team", tags=["people"])


class MemberList(BaseModel):
    items: list[MemberView]
    next: str | None = None


class InvitationList(BaseModel):
    items: list[InvitationView]
    next: str | None = None


class InvitationIn(BaseModel):
    """Whom to ask, and for which role: `staff`, `manager`, `admin` or `owner`."""

    model_config = ConfigDict(extra="forbid")

    email: str = Field(max_length=320)
    role: str = Field(default="staff", max_length=16)


class RoleIn(BaseModel):
    """A member's new role."""

    model_config = ConfigDict(extra="forbid")

    role: str = Field(max_length=16)


@router.get("")
def list_members(actor: CurrentActor) -> MemberList:
    """Everybody who works in the workspace."""
    return MemberList(items=team.members(actor))


@router.get("/invitations")
def list_invitations(actor: CurrentActor) -> InvitationList:
    """Invitations that nobody has followed yet."""
    return InvitationList(items=team.invitations(actor))


@router.post("/invitations", status_code=201)
def invite(actor: CurrentActor, body: InvitationIn) -> InvitationView:
    """Send somebody an invitation by e-mail; an earlier one to the same address ends."""
    return team.invite(actor, body.email, body.role)


@router.delete("/invitations/{invitation_id}", status_code=204)
def withdraw(actor: CurrentActor, invitation_id: Key) -> None:
    """End an invitation."""
    team.withdraw(actor, invitation_id)


@router.patch("/{person_id}", status_code=204)
def change_role(actor: CurrentActor, person_id: Key, body: RoleIn) -> None:
    """Give a member another role, at most your own."""
    team.change_role(actor, person_id, body.role)


@router.delete("/{person_id}", status_code=204)
def remove(actor: CurrentActor, person_id: Key) -> None:
    """Take a member out of the workspace."""
    team.remove(actor, person_id)
