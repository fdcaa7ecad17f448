"""``/join/<secret>``: what an invitation is to, and the way in: at once, by signing in, or with a new account."""

from __future__ import annotations

import asyncio
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.workspaces import team
from calendar_app.ui.components import plain
from calendar_app.ui.components.feedback import error_callout, loading
from calendar_app.ui.layout import public_page
from calendar_app.ui.session import SessionState, identify, signed_in
from calendar_app.ui.theme import space


class JoinState(rx.State):
    """The invitation behind the link; ``step``: ``join``, ``sign_in``, ``sign_up``, ``other`` or ``gone``."""

    step: str = ""
    error: str = ""
    workspace: str = ""
    email: str = ""
    role: str = ""
    invited_by: str = ""
    here: str = ""
    signed_in_as: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Look the link up, and see who is here."""
        self.here = f"/join/{self._token()}"
        try:
            found = await asyncio.to_thread(team.look, self._token())
        except AlmanacError as error:
            self.step, self.error = "gone", error.detail
            return
        self.workspace, self.email, self.role = found.workspace_name, found.email, str(found.role)
        self.invited_by = found.invited_by
        identity = await identify(self)
        self.signed_in_as = identity.email if identity else ""
        if identity is None:
            self.step = "sign_in" if found.has_account else "sign_up"
        else:
            self.step = "join" if identity.email == found.email else "other"

    def _token(self) -> str:
        return self.router.url.path.rpartition("/")[2][:128]

    @rx.event
    async def join(self) -> Any:
        """Become a member, and go on in that workspace."""
        identity, _ = await signed_in(self)
        try:
            workspace_id = await asyncio.to_thread(team.accept, identity, self._token())
        except AlmanacError as error:
            self.step, self.error = "gone", error.detail
            return None
        (await self.get_state(SessionState)).chosen = workspace_id
        return rx.redirect("/dashboard", replace=True)


def _way_in() -> rx.Component:
    return rx.match(
        JoinState.step,
        ("join", rx.button("Join", on_click=JoinState.join, size="3", width="100%")),
        (
            "sign_in",
            rx.button(
                plain.link("Sign in to join", href="/login?next=" + JoinState.here),
                as_child=True,
                size="3",
                width="100%",
            ),
        ),
        (
            "sign_up",
            rx.button(
                plain.link("Create your account", href="/signup?next=" + JoinState.here),
                as_child=True,
                size="3",
                width="100%",
            ),
        ),
        (
            "other",
            rx.flex(
                error_callout(
                    "You are signed in as "
                    + JoinState.signed_in_as
                    + ", and this invitation is for another address."
                ),
                plain.form(
                    rx.button("Sign out", type="submit", size="3", variant="soft", width="100%"),
                    action="/auth/sign-out",
                    method="post",
                ),
                direction="column",
                spacing="4",
            ),
        ),
        rx.fragment(),
    )


def join() -> rx.Component:
    return public_page(
        rx.card(
            rx.match(
                JoinState.step,
                ("", loading(2)),
                (
                    "gone",
                    rx.box(
                        rx.heading("This invitation has ended", as_="h1", size="5", trim="start"),
                        rx.text(JoinState.error, color_scheme="gray", margin_top=space(3), role="alert"),
                    ),
                ),
                rx.box(
                    rx.heading("Join ", JoinState.workspace, as_="h1", size="5", trim="start"),
                    rx.text(
                        rx.cond(JoinState.invited_by != "", JoinState.invited_by, "Somebody"),
                        " invites ",
                        JoinState.email,
                        " to work here as ",
                        JoinState.role,
                        ".",
                        color_scheme="gray",
                        margin_top=space(3),
                        margin_bottom=space(5),
                        class_name="wrap-anywhere",
                    ),
                    _way_in(),
                ),
            ),
            size="4",
            width="100%",
            max_width="26rem",
            margin_x="auto",
        ),
        on_ready=JoinState.load,
    )
