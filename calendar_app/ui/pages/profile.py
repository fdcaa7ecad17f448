"""``/settings/profile``: who one is: name, time zone, language, email address."""

from __future__ import annotations

import asyncio
from typing import Any

import reflex as rx

from calendar_app import translations
from calendar_app.domain.zones import zone_names
from calendar_app.errors import AlmanacError
from calendar_app.services.accounts import email_proof
from calendar_app.services.workspaces import profile as profiles
from calendar_app.services.workspaces.profile import ProfileView
from calendar_app.ui import notices
from calendar_app.ui.components.feedback import callout, error_callout, loading
from calendar_app.ui.components.forms import field, text_input
from calendar_app.ui.layout import page
from calendar_app.ui.session import enter, signed_in
from calendar_app.ui.theme import space

PATH = "/settings/profile"
_ZONES = sorted(
    name for name in zone_names() if "/" in name and not name.startswith(("Etc/", "US/", "SystemV/"))
)
"""Offered while one types; any IANA name is taken."""


class ProfileState(rx.State):
    """The person's own settings as they are stored; ``sent_to`` is an address that a link is on its way to."""

    loaded: bool = False
    name: str = ""
    email: str = ""
    timezone: str = ""
    here: str = ""
    language: str = ""
    sync: bool = True
    error: str = ""
    email_error: str = ""
    sent_to: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the settings."""
        await enter(self, zone, hour12)
        identity, _ = await signed_in(self)
        self.error = self.email_error = self.sent_to = ""
        self.here = zone
        self._show(await asyncio.to_thread(profiles.get, identity))
        self.loaded = True

    def _show(self, view: ProfileView) -> None:
        self.name, self.email, self.timezone = view.name, view.email, view.timezone
        self.language, self.sync = view.language, view.calendar_sync_enabled

    @rx.event
    async def save(self, form: dict[str, Any]) -> Any:
        """Keep what the form holds."""
        identity, _ = await signed_in(self)
        self.error = ""
        changes = {name: str(form.get(name, "")) for name in ("name", "timezone", "language")}
        try:
            self._show(await asyncio.to_thread(profiles.update, identity, changes))
        except AlmanacError as error:
            self.error = error.detail
            return None
        return notices.success("Saved.")

    @rx.event
    async def switch_sync(self, value: bool) -> Any:
        """Write bookings into the person's calendars, or not."""
        identity, _ = await signed_in(self)
        view = await asyncio.to_thread(profiles.update, identity, {"calendar_sync_enabled": value})
        self._show(view)
        return notices.success("Saved.")

    @rx.event
    async def change_email(self, form: dict[str, Any]) -> None:
        """Send a link to the new address."""
        identity, _ = await signed_in(self)
        self.email_error = self.sent_to = ""
        wanted = str(form.get("new_email", ""))
        try:
            await asyncio.to_thread(
                email_proof.ask_to_change, identity, wanted, str(form.get("password", ""))
            )
        except AlmanacError as error:
            self.email_error = error.detail
            return
        self.sent_to = wanted


def profile() -> rx.Component:
    """The page."""
    return page(
        "Profile",
        rx.cond(
            ProfileState.loaded,
            rx.flex(_about(), _sync(), _email(), direction="column", spacing="7"),
            loading(),
        ),
        path=PATH,
        on_ready=ProfileState.load,
        lead="What is yours in every workspace: your name, your time zone, your language and your address.",
        narrow=True,
    )


def _about() -> rx.Component:
    languages = [("", "The workspace's"), *translations.NAMES.items()]
    return rx.el.form(
        rx.flex(
            field(
                "Name",
                text_input(
                    "name",
                    default_value=ProfileState.name,
                    key="name" + ProfileState.name,
                    required=True,
                    max_length=120,
                    auto_complete="name",
                ),
                for_="name",
                hint="Customers see it on booking pages and in emails.",
            ),
            field(
                "Time zone",
                rx.box(
                    text_input(
                        "timezone",
                        default_value=ProfileState.timezone,
                        key="zone" + ProfileState.timezone,
                        required=True,
                        list="zone-names",
                        auto_complete="off",
                    ),
                    rx.el.datalist(*[rx.el.option(value=name) for name in _ZONES], id="zone-names"),
                ),
                for_="timezone",
                hint="Calendars without a time zone of their own follow it. Working hours have theirs.",
            ),
            rx.cond(
                (ProfileState.here != ProfileState.timezone) & (ProfileState.here != ""),
                rx.text("This browser is in ", ProfileState.here, ".", size="2", color_scheme="gray"),
            ),
            field(
                "Language",
                rx.el.select(
                    *[rx.el.option(name, value=code) for code, name in languages],
                    id="language",
                    name="language",
                    default_value=ProfileState.language,
                    key="language" + ProfileState.language,
                    class_name="select",
                ),
                for_="language",
                hint="Emails to you about your account are written in it.",
            ),
            error_callout(ProfileState.error),
            rx.box(rx.button("Save", type="submit", size="3")),
            direction="column",
            spacing="4",
            max_width="26rem",
        ),
        on_submit=ProfileState.save,
    )


def _sync() -> rx.Component:
    return rx.el.section(
        rx.heading("Bookings in your calendars", as_="h2", size="4"),
        rx.text(
            rx.flex(
                rx.switch(checked=ProfileState.sync, on_change=ProfileState.switch_sync),
                "Write bookings into my calendars by themselves",
                spacing="3",
                align="center",
            ),
            as_="label",
            size="2",
            margin_top=space(3),
        ),
    )


def _email() -> rx.Component:
    return rx.el.section(
        rx.heading("Email address", as_="h2", size="4"),
        rx.text(
            "You sign in with ",
            rx.text.strong(ProfileState.email),
            ". Another address is yours once you have opened the link that we send there.",
            size="2",
            color_scheme="gray",
            margin_top=space(1),
            margin_bottom=space(3),
        ),
        rx.cond(
            ProfileState.sent_to != "",
            callout("A link is on its way to " + ProfileState.sent_to + ".", "mail", "blue"),
            rx.el.form(
                rx.flex(
                    field(
                        "New address",
                        text_input("new_email", type="email", auto_complete="email", required=True),
                        for_="new_email",
                    ),
                    field(
                        "Your password",
                        text_input(
                            "password", type="password", auto_complete="current-password", required=True
                        ),
                        for_="password",
                    ),
                    error_callout(ProfileState.email_error),
                    rx.box(rx.button("Send the link", type="submit", size="3")),
                    direction="column",
                    spacing="4",
                    max_width="26rem",
                ),
                on_submit=ProfileState.change_email,
            ),
        ),
    )
