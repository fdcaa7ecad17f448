"""``/login`` and ``/signup``: plain forms, posted to the HTTP API, which sets the cookie and sends the browser on.

A form post, not an event: only an HTTP answer can set an HttpOnly cookie, and it works before the websocket stands.
"""

from __future__ import annotations

import asyncio
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.accounts import passwords
from calendar_app.services.connection_lifecycle.oauth import local_path
from calendar_app.services.workspaces import team
from calendar_app.settings import get_settings
from calendar_app.ui.components import plain
from calendar_app.ui.components.browser import lifecycle
from calendar_app.ui.components.feedback import error_callout
from calendar_app.ui.components.forms import field, text_input
from calendar_app.ui.formats import known_zone
from calendar_app.ui.layout import brand, skip_link
from calendar_app.ui.session import identify
from calendar_app.ui.theme import space

MESSAGES = {
    "invalid_credentials": "The e-mail address or the password is wrong. Check both and try again.",
    "expired": "You were signed out, because your session ended. Sign in to go on.",
    "signed_out": "",
    "rate_limited": "That were too many attempts. Wait a few minutes, then try again.",
    "email_taken": "There is already an account with this e-mail address: sign in instead.",
    "invalid_email": "That is not an e-mail address. It should look like name@example.com.",
    "weak_password": f"This password is too easy to guess. Use at least {passwords.SHORTEST} characters.",
    "unknown_timezone": "Your browser reported a time zone that we do not know.",
    "invalid_input": "Something is missing: please fill in every field.",
    "invitation_invalid": "This invitation is not valid any more. Ask whoever invited you for a new one.",
    "other_address": "The invitation is for another address: use the one that the letter was sent to.",
    "forbidden": "The form was sent from another page. Open this page again and retry.",
}
"""What the forms' routes put into ``?error=``, in words."""

FALLBACK = "That did not work. Please check what you typed and try again."


class SignInState(rx.State):
    """What the two forms show besides their fields."""

    error: str = ""
    next_path: str = "/dashboard"
    zone: str = "UTC"
    sandbox: bool = False
    invitation: str = ""
    invited_to: str = ""
    invited_email: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> Any:
        """Read why the person is here; somebody who is signed in already goes on."""
        query = self.router.url.query_parameters
        code = query.get("error", "")
        self.error = MESSAGES.get(code, FALLBACK) if code else ""
        self.next_path = local_path(query.get("next"), "/dashboard")
        self.zone = known_zone(zone)
        self.sandbox = get_settings().sandbox
        await self._read_invitation()
        if not code and await identify(self) is not None:
            return rx.redirect(self.next_path, replace=True)
        return None

    async def _read_invitation(self) -> None:
        """Who follows an invitation makes an account for its address, in its workspace."""
        self.invitation = self.invited_to = self.invited_email = ""
        before, _, token = self.next_path.rpartition("/")
        if before != "/join":
            return
        try:
            found = await asyncio.to_thread(team.look, token)
        except AlmanacError:
            return
        self.invitation, self.invited_to, self.invited_email = token, found.workspace_name, found.email


def _shell(title: str, lead: str, form: rx.Component, *below: rx.Component) -> rx.Component:
    return rx.fragment(
        skip_link(),
        lifecycle(on_ready=SignInState.load),
        rx.el.div(
            rx.el.main(
                rx.flex(
                    brand("/"),
                    rx.card(
                        rx.heading(title, as_="h1", size="6", trim="start"),
                        rx.text(
                            lead, size="2", color_scheme="gray", margin_top=space(2), margin_bottom=space(4)
                        ),
                        error_callout(SignInState.error),
                        rx.box(form, margin_top=space(4)),
                        size="4",
                        width="100%",
                    ),
                    *below,
                    direction="column",
                    align="center",
                    spacing="5",
                    width="100%",
                    max_width="26rem",
                ),
                id="main",
                tab_index=-1,
            ),
            class_name="public",
        ),
    )


def _form(action: str, button: str, *fields: rx.Component) -> rx.Component:
    return plain.form(
        rx.flex(
            *fields,
            rx.el.input(type="hidden", name="next", value=SignInState.next_path),
            rx.button(button, type="submit", size="3", width="100%", margin_top=space(2)),
            direction="column",
            spacing="4",
        ),
        action=action,
        method="post",
    )


def login() -> rx.Component:
    form = _form(
        "/auth/sign-in",
        "Sign in",
        field(
            "Email", text_input("email", type="email", auto_complete="username", required=True), for_="email"
        ),
        field(
            "Password",
            text_input("password", type="password", auto_complete="current-password", required=True),
            for_="password",
        ),
    )
    return _shell(
        "Sign in",
        "Welcome back.",
        form,
        rx.cond(
            SignInState.sandbox,
            rx.text(
                "This is a sandbox: sign in as owner@example.com with the password that the start printed.",
                size="2",
                color_scheme="gray",
                align="center",
            ),
        ),
        rx.text("New here? ", rx.link("Create an account", href="/signup", underline="always"), size="2"),
    )


def signup() -> rx.Component:
    form = _form(
        "/auth/sign-up",
        "Create account",
        field(
            "Your name", text_input("name", auto_complete="name", required=True, max_length=120), for_="name"
        ),
        field(
            "Email",
            text_input(
                "email",
                type="email",
                auto_complete="email",
                required=True,
                default_value=SignInState.invited_email,
                key=SignInState.invited_email,
            ),
            for_="email",
        ),
        field(
            "Password",
            text_input(
                "password",
                type="password",
                auto_complete="new-password",
                required=True,
                min_length=passwords.SHORTEST,
            ),
            for_="password",
            hint=f"At least {passwords.SHORTEST} characters; a few unrelated words are easy to remember "
            "and hard to guess.",
        ),
        rx.cond(
            SignInState.invitation != "",
            rx.fragment(
                rx.el.input(type="hidden", name="invitation", value=SignInState.invitation),
                rx.text("You join ", rx.text.strong(SignInState.invited_to), ".", size="2"),
            ),
            field(
                "Business name",
                text_input("workspace_name", auto_complete="organization", max_length=120),
                for_="workspace_name",
                hint="Customers see it on your booking page.",
            ),
        ),
        rx.el.input(type="hidden", name="timezone", value=SignInState.zone),
    )
    return _shell(
        "Create your account",
        "Bookable in two minutes.",
        form,
        rx.text("Have an account? ", rx.link("Sign in", href="/login", underline="always"), size="2"),
    )
