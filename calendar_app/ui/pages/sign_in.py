"""``/login``, ``/login/code`` and ``/signup``: plain forms, posted to the HTTP API, which sets the cookie and sends the
browser on. What is done by a link that was sent is in :mod:`calendar_app.ui.pages.sign_in_links`.

A form post, not an event: only an HTTP answer can set an HttpOnly cookie, and it works before the websocket stands.
"""

from __future__ import annotations

import asyncio
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.accounts import passwords, typed_text
from calendar_app.services.connection_lifecycle.oauth import local_path
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.workspaces import team
from calendar_app.settings import get_settings
from calendar_app.ui.components import plain
from calendar_app.ui.components.browser import lifecycle
from calendar_app.ui.components.feedback import callout, error_callout, success_callout
from calendar_app.ui.components.forms import field, text_input
from calendar_app.ui.components.passkeys import passkey_button
from calendar_app.ui.formats import known_zone
from calendar_app.ui.layout import brand, skip_link
from calendar_app.ui.session import identify
from calendar_app.ui.theme import space

MESSAGES = {
    "invalid_credentials": "The email address or the password is wrong. Check both and try again.",
    "expired": "You were signed out, because your session ended. Sign in to go on.",
    "signed_out": "",
    "rate_limited": "That were too many attempts. Wait a few minutes, then try again.",
    "email_taken": "There is already an account with this email address: sign in instead.",
    "invalid_email": "That is not an email address. It should look like name@example.com.",
    "weak_password": f"This password is too easy to guess. Use at least {passwords.SHORTEST} characters, and none that "
    "others use, such as a few unrelated words.",
    "wrong_code": "That code is wrong, or was used before. Wait for the next one and try again.",
    "sign_in_ended": "That took too long. Enter your password again.",
    "passkey_refused": "This passkey does not open an account here.",
    "link_ended": "This link has been used, or is too old. Ask for a new one.",
    "unknown_timezone": "Your browser reported a time zone that we do not know.",
    "invalid_input": "Something is missing: please fill in every field.",
    "invitation_invalid": "This invitation is not valid any more. Ask whoever invited you for a new one.",
    "other_address": "The invitation is for another address: use the one that the email was sent to.",
    "forbidden": "The form was sent from another page. Open this page again and retry.",
}
"""What the forms' routes put into ``?error=``, in words."""

DONE = {"password_set": "Your new password is set. Sign in with it."}
"""As :data:`MESSAGES`, of what went well."""

FALLBACK = "That did not work. Please check what you typed and try again."


class SignInState(rx.State):
    """What the forms show besides their fields. ``typed`` is the address that was typed before, ``sent`` says that an
    email is on its way, and ``proves`` that an account needs one."""

    error: str = ""
    done: str = ""
    typed: str = ""
    sent: bool = False
    proves: bool = False
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
        self.done = DONE.get(code, "")
        self.error = MESSAGES.get(code, FALLBACK) if code and not self.done else ""
        self.typed = typed_text.read(query.get("typed", ""))
        self.sent = query.get("sent") == "1"
        self.proves = await asyncio.to_thread(mail_outbox.can_send)
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


def shell(
    title: str | rx.Var[str],
    lead: str | rx.Var[str],
    form: rx.Component,
    *below: rx.Component,
    on_ready: Any = None,
    error: rx.Var[str] | None = None,
) -> rx.Component:
    """A page of these: one card with a heading and what went wrong, and links below it."""
    return rx.fragment(
        skip_link(),
        lifecycle(on_ready=on_ready or SignInState.load),
        rx.el.div(
            rx.el.main(
                rx.flex(
                    brand("/"),
                    rx.card(
                        rx.heading(title, as_="h1", size="6", trim="start"),
                        rx.text(
                            lead, size="2", color_scheme="gray", margin_top=space(2), margin_bottom=space(4)
                        ),
                        error_callout(SignInState.error if error is None else error),
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


def new_password() -> rx.Component:
    """The field for a password that is chosen, with the one rule for it."""
    return field(
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
    )


def posted(action: str, button: str, *fields: rx.Component) -> rx.Component:
    """A form that the browser posts to the HTTP API."""
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
    form = posted(
        "/auth/sign-in",
        "Sign in",
        field(
            "Email",
            text_input(
                "email",
                type="email",
                auto_complete="username webauthn",
                required=True,
                default_value=SignInState.typed,
                key=SignInState.typed,
            ),
            for_="email",
        ),
        field(
            "Password",
            text_input("password", type="password", auto_complete="current-password", required=True),
            for_="password",
        ),
    )
    return shell(
        "Sign in",
        "Welcome back.",
        rx.flex(
            success_callout(SignInState.done),
            form,
            passkey_button(next_path=SignInState.next_path, label="Sign in with a passkey"),
            direction="column",
            spacing="4",
        ),
        rx.text(rx.link("Forgot your password?", href="/reset", underline="always"), size="2"),
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


def code() -> rx.Component:
    """After the password: the second factor."""
    form = posted(
        "/auth/second-factor",
        "Sign in",
        field(
            "Code",
            text_input("code", auto_complete="one-time-code", required=True, max_length=40),
            for_="code",
            hint="The six digits that your authenticator app shows now, or one of your recovery codes.",
        ),
    )
    return shell(
        "One more step",
        "Your account asks for a second factor.",
        rx.flex(
            form,
            passkey_button(next_path=SignInState.next_path, label="Use a passkey"),
            direction="column",
            spacing="4",
        ),
        rx.text(rx.link("Sign in as somebody else", href="/login", underline="always"), size="2"),
    )


def signup() -> rx.Component:
    form = posted(
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
        rx.cond(
            SignInState.proves & (SignInState.invitation == ""),
            rx.text(
                "We send you an email; the link in it lets you choose a password.",
                size="2",
                color_scheme="gray",
            ),
            new_password(),
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
    return shell(
        "Create your account",
        "Bookable in two minutes.",
        rx.cond(
            SignInState.sent,
            callout(
                "Look into your mailbox: we have sent you an email. Its link works for a day.",
                "mail",
                "blue",
            ),
            form,
        ),
        rx.text("Have an account? ", rx.link("Sign in", href="/login", underline="always"), size="2"),
    )
