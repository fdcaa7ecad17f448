"""``/reset`` and ``/confirm/<secret>``: a link by email, and what it does: make an account, set a new password, change
the account's address. Nothing happens before a form is sent, so that mail scanners use no link up."""

from __future__ import annotations

import asyncio

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.accounts import email_proof
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.ui.components.feedback import callout, loading
from calendar_app.ui.components.forms import field, text_input
from calendar_app.ui.pages.sign_in import FALLBACK, MESSAGES, new_password, posted, shell


class ResetState(rx.State):
    """Whether a link was sent, or cannot be."""

    error: str = ""
    sent: bool = False
    mail: bool = True

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Read why the person is here."""
        query = self.router.url.query_parameters
        code = query.get("error", "")
        self.error = MESSAGES.get(code, FALLBACK) if code else ""
        self.sent = query.get("sent") == "1"
        self.mail = await asyncio.to_thread(mail_outbox.can_send)


class ConfirmState(rx.State):
    """The link; ``purpose`` as in :mod:`calendar_app.services.accounts.email_proof`, or ``ended``."""

    purpose: str = ""
    error: str = ""
    email: str = ""
    secret: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Look the link up."""
        code = self.router.url.query_parameters.get("error", "")
        self.error = MESSAGES.get(code, FALLBACK) if code else ""
        self.secret = self.router.url.path.rpartition("/")[2][:100]
        try:
            found = await asyncio.to_thread(email_proof.look, self.secret)
        except AlmanacError as error:
            self.purpose, self.error = "ended", error.detail
            return
        self.purpose, self.email = found.purpose, found.email


def reset() -> rx.Component:
    """Ask for a link to choose a new password."""
    form = posted(
        "/auth/reset",
        "Send the link",
        field(
            "Email", text_input("email", type="email", auto_complete="username", required=True), for_="email"
        ),
    )
    return shell(
        "Choose a new password",
        "We send a link to your address. Nothing changes until you use it.",
        rx.cond(
            ResetState.sent,
            callout(
                "If there is an account with this address, an email is on its way. Its link works for an hour.",
                "mail",
                "blue",
            ),
            rx.cond(
                ResetState.mail,
                form,
                callout(
                    "No email can be sent from here. Ask whoever runs this installation for a new password.",
                    "mail-x",
                    "amber",
                ),
            ),
        ),
        rx.text(rx.link("Back to the sign-in", href="/login", underline="always"), size="2"),
        on_ready=ResetState.load,
        error=ResetState.error,
    )


def confirm() -> rx.Component:
    """What the link is for, and the form that does it."""
    address = rx.text(rx.text.strong(ConfirmState.email), size="2", class_name="wrap-anywhere")
    hidden = rx.el.input(type="hidden", name="secret", value=ConfirmState.secret)
    username = rx.el.input(type="hidden", name="username", value=ConfirmState.email, auto_complete="username")
    return shell(
        rx.match(
            ConfirmState.purpose,
            (email_proof.SIGN_UP, "Choose a password"),
            (email_proof.RESET, "Choose a new password"),
            (email_proof.CHANGE, "Confirm your new address"),
            ("ended", "This link has ended"),
            "One moment",
        ),
        "",
        rx.match(
            ConfirmState.purpose,
            ("", loading(2)),
            ("ended", rx.link("Ask for a new one", href="/reset", underline="always", size="2")),
            (
                email_proof.CHANGE,
                posted("/auth/confirm", "This is my address", address, hidden),
            ),
            (
                email_proof.RESET,
                posted("/auth/confirm", "Set the new password", address, hidden, username, new_password()),
            ),
            posted("/auth/confirm", "Create my account", address, hidden, username, new_password()),
        ),
        on_ready=ConfirmState.load,
        error=ConfirmState.error,
    )
