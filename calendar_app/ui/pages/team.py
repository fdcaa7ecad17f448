"""``/settings/team``: who works here, with which role, and who is invited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.errors import AlmanacError
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.workspaces import team
from calendar_app.ui import formats, live, notices
from calendar_app.ui.components.feedback import error_callout, loading
from calendar_app.ui.components.forms import confirm, field, text_input
from calendar_app.ui.layout import page
from calendar_app.ui.session import SessionState, acting, enter
from calendar_app.ui.theme import space

PATH = "/settings/team"
ROLES = {
    "staff": "Staff: own calendars, own bookings",
    "manager": "Manager: everybody’s calendars and bookings",
    "admin": "Admin: also the team and the workspace",
    "owner": "Owner: everything",
}


@dataclass
class MemberRow:
    """A member as the page shows them; ``mine``: it is the person who looks."""

    id: str
    name: str
    email: str
    role: str
    detail: str
    editable: bool
    mine: bool


@dataclass
class InvitationRow:
    """An open invitation."""

    id: str
    email: str
    role: str
    detail: str


class TeamState(rx.State):
    """The members and invitations of the workspace."""

    loaded: bool = False
    is_admin: bool = False
    error: str = ""
    members: list[MemberRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    invitations: list[InvitationRow] = []  # noqa: RUF012

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show everybody."""
        actor = await enter(self, zone, hour12)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    @rx.event
    async def refresh(self) -> None:
        """Read again after a change."""
        actor = await acting(self)
        async with live.reading(self, actor.workspace_id):
            await self._read(actor)

    async def _read(self, actor: Actor) -> None:
        zone = (await self.get_state(SessionState)).zone
        self.is_admin = actor.role >= Role.ADMIN
        found = await asyncio.to_thread(team.members, actor)
        self.members = [_member(actor, view) for view in found]
        if self.is_admin:
            waiting = await asyncio.to_thread(team.invitations, actor)
            self.invitations = [_invitation(view, zone) for view in waiting]
        self.loaded = True

    @rx.event
    async def invite(self, form: dict[str, Any]) -> Any:
        """Send an invitation."""
        actor = await acting(self)
        self.error = ""
        try:
            made = await asyncio.to_thread(
                team.invite, actor, str(form.get("email", "")), str(form.get("role", ""))
            )
        except AlmanacError as error:
            self.error = error.detail
            return None
        await self._read(actor)
        return notices.success(f"An invitation is on its way to {made.email}.")

    @rx.event
    async def withdraw(self, invitation_id: str) -> Any:
        """End an invitation."""
        return await self._change(
            lambda actor: team.withdraw(actor, invitation_id), "The invitation has ended."
        )

    @rx.event
    async def set_role(self, person_id: str, role: str) -> Any:
        """Give a member another role."""
        return await self._change(
            lambda actor: team.change_role(actor, person_id, role), "The role is changed."
        )

    @rx.event
    async def remove(self, person_id: str) -> Any:
        """Take a member out."""
        return await self._change(
            lambda actor: team.remove(actor, person_id), "They are no longer in this workspace."
        )

    async def _change(self, work: Callable[[Actor], None], done: str) -> Any:
        actor = await acting(self)
        try:
            await asyncio.to_thread(work, actor)
        except AlmanacError as error:
            await self._read(await acting(self))
            return notices.error(error.detail)
        await self._read(await acting(self))
        return notices.success(done)


def _member(actor: Actor, view: team.MemberView) -> MemberRow:
    parts = [formats.count(view.connections, "connected account")]
    if view.upcoming:
        parts.append(formats.count(view.upcoming, "upcoming booking"))
    return MemberRow(
        id=view.person_id,
        name=view.name or view.email,
        email=view.email,
        role=str(view.role),
        detail=" · ".join(parts),
        editable=actor.role >= Role.ADMIN and actor.role >= view.role,
        mine=view.person_id == actor.person_id,
    )


def _invitation(view: team.InvitationView, zone: str) -> InvitationRow:
    if view.expired:
        detail = "Has expired: invite again"
    else:
        left = max(1, round((view.expires_at - utc_now()).total_seconds() / 86_400))
        detail = f"Valid for {formats.count(left, 'more day')}"
    return InvitationRow(view.id, view.email, str(view.role), detail)


def _role_select(row: MemberRow) -> rx.Component:
    return rx.el.select(
        *(rx.el.option(key.capitalize(), value=key) for key in ROLES),
        value=row.role,
        on_change=lambda value: TeamState.set_role(row.id, value),
        class_name="select",
        aria_label="Role of " + row.name,
    )


def _row(row: MemberRow) -> rx.Component:
    return rx.el.li(
        rx.avatar(fallback=row.name[0].upper(), size="2", radius="full", aria_hidden="true"),
        rx.box(
            rx.text(row.name, rx.cond(row.mine, " (you)", ""), size="2", weight="medium", class_name="clip"),
            rx.text(row.email, size="1", color_scheme="gray", class_name="wrap-anywhere"),
            rx.text(row.detail, size="1", color_scheme="gray"),
            flex="1 1 10rem",
            min_width="0",
        ),
        rx.cond(
            row.editable,
            rx.flex(
                _role_select(row),
                confirm(
                    rx.button("Remove", variant="ghost", color_scheme="red", aria_label="Remove " + row.name),
                    title="Remove from this workspace?",
                    text=row.name
                    + " will see nothing of this workspace any more, and no event type will have them as a host.",
                    action="Remove",
                    on_confirm=TeamState.remove(row.id),
                ),
                spacing="4",
                align="center",
            ),
            rx.badge(row.role, variant="soft", color_scheme="gray", high_contrast=True),
        ),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _waiting(row: InvitationRow) -> rx.Component:
    return rx.el.li(
        rx.icon("mail", size=18, aria_hidden="true"),
        rx.box(
            rx.text(row.email, size="2", weight="medium", class_name="wrap-anywhere"),
            rx.text("Invited as ", row.role, ". ", row.detail, size="1", color_scheme="gray"),
            flex="1 1 10rem",
            min_width="0",
        ),
        rx.button(
            "Withdraw",
            on_click=TeamState.withdraw(row.id),
            variant="ghost",
            color_scheme="gray",
            aria_label="Withdraw the invitation of " + row.email,
        ),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _invite() -> rx.Component:
    return rx.card(
        rx.heading("Invite somebody", as_="h2", size="3", margin_bottom=space(3)),
        rx.form(
            rx.flex(
                field(
                    "Email",
                    text_input("invite-email", name="email", type="email", required=True),
                    for_="invite-email",
                ),
                field(
                    "Role",
                    rx.el.select(
                        *(rx.el.option(words, value=key) for key, words in ROLES.items()),
                        id="invite-role",
                        name="role",
                        class_name="select",
                    ),
                    for_="invite-role",
                ),
                error_callout(TeamState.error),
                rx.flex(rx.button("Send invitation", type="submit"), justify="end"),
                direction="column",
                spacing="4",
            ),
            on_submit=TeamState.invite,
            reset_on_submit=True,
        ),
        size="3",
    )


def members() -> rx.Component:
    return page(
        "Team",
        rx.cond(
            TeamState.loaded,
            rx.flex(
                rx.el.ul(rx.foreach(TeamState.members, _row), class_name="plain list", aria_label="Members"),
                rx.cond(
                    TeamState.is_admin,
                    rx.fragment(
                        rx.cond(
                            TeamState.invitations.length() > 0,
                            rx.el.ul(
                                rx.foreach(TeamState.invitations, _waiting),
                                class_name="plain list",
                                aria_label="Invitations",
                            ),
                        ),
                        _invite(),
                    ),
                ),
                direction="column",
                spacing="4",
            ),
            loading(),
        ),
        path=PATH,
        on_ready=TeamState.load,
        on_change=TeamState.refresh,
        lead="Who works here. Event types can have several of you as hosts.",
        narrow=True,
    )
