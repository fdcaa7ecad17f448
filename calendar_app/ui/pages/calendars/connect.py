"""Connecting an account: a consent page at the provider, or a form for what has none. The kind of sign-in decides."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.calendar_sync import ics_import
from calendar_app.services.connection_lifecycle import credentials as connection_credentials
from calendar_app.ui import formats, notices
from calendar_app.ui.components.badges import provider_tile
from calendar_app.ui.components.connections import ConnectionRow, ProviderRow
from calendar_app.ui.components.dropzone import dropzone
from calendar_app.ui.components.feedback import error_callout, success_callout
from calendar_app.ui.components.forms import field, text_input, unbound
from calendar_app.ui.pages.calendars.state import CalendarsState
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import acting
from calendar_app.ui.theme import space

UPLOAD = "calendar-file"
MOST_SHOWN = 20


@dataclass
class SkippedLine:
    """A part of a file that could not be read, and why."""

    where: str
    reason: str


class ConnectState(rx.State):
    """The form that is open, by what it is for: a provider's key, or the id of a connection to bring back."""

    asking: str = ""
    error: str = ""
    busy: bool = False
    imported: str = ""
    skipped: list[SkippedLine] = []  # noqa: RUF012 - Reflex copies defaults per session

    @rx.event
    def toggle(self, asking: str, is_open: bool) -> None:
        """Open or close a form."""
        self.asking = asking[:64] if is_open else ""
        self.error, self.imported, self.skipped, self.busy = "", "", [], False

    @rx.event
    async def submit(self, form: dict[str, Any]) -> Any:
        """Try what was typed; wrong credentials are said beside the form, and nothing typed is lost."""
        actor = await acting(self)
        self.error, self.busy = "", True
        yield
        try:
            result = await asyncio.to_thread(
                connection_credentials.connect,
                actor,
                str(form.get("provider", "")),
                address=str(form.get("address", "")),
                username=str(form.get("username", "")),
                password=str(form.get("password", "")),
                connection_id=str(form.get("connection_id", "")) or None,
            )
        except AlmanacError as error:
            self.error = error.detail
            return
        finally:
            self.busy = False
        self.asking = ""
        yield CalendarsState.refresh
        yield notices.success(result.message)

    @rx.event
    async def take_file(self, files: list[rx.UploadFile]) -> Any:
        """Import an .ics file; what cannot be read of it is listed, the rest is kept."""
        actor = await acting(self)
        self.error, self.imported, self.skipped = "", "", []
        if not files:
            self.error = "Choose a file first."
            return
        self.busy = True
        yield
        try:
            content = await files[0].read()
            result = await asyncio.to_thread(
                ics_import.import_file, actor, content, file_name=(files[0].name or "").removesuffix(".ics")
            )
        except AlmanacError as error:
            self.error = error.detail
            return
        finally:
            self.busy = False
        self.imported = f"{formats.count(result.imported, 'event')} imported into “{result.calendar.name}”."
        if result.past:
            self.imported += f" {formats.count(result.past, 'event')} of the past or cancelled left out."
        self.skipped = [_skipped(part) for part in result.skipped[:MOST_SHOWN]]
        if (more := result.skipped_count - len(self.skipped)) > 0:
            self.skipped.append(SkippedLine(f"And {formats.count(more, 'more part')}", "not shown here"))
        yield rx.clear_selected_files(UPLOAD)
        yield CalendarsState.refresh


keep(ConnectState, "asking")

_PARTS = {
    "VEVENT": "event",
    "VTODO": "task",
    "VJOURNAL": "journal entry",
    "VFREEBUSY": "free/busy list",
    "VTIMEZONE": "time zone",
}


def _skipped(part: ics_import.Skipped) -> SkippedLine:
    what = _PARTS.get(part.component, part.component)
    return SkippedLine(
        f"Line {part.line}, {what} “{part.summary}”" if part.summary else f"Line {part.line}, {what}",
        part.reason + (" The rest of the event was imported." if part.kept else ""),
    )


def _dialog(trigger: rx.Component, key: rx.Var[str], title: str, *content: rx.Component) -> rx.Component:
    return rx.dialog.root(
        rx.dialog.trigger(trigger),
        rx.dialog.content(rx.dialog.title(title), *content, max_width="30rem"),
        open=ConnectState.asking == key,
        on_open_change=lambda is_open: ConnectState.toggle(key, is_open),
    )


def _foot(action: str, **props: Any) -> rx.Component:
    return rx.flex(
        rx.dialog.close(rx.button("Close", type="button", variant="soft", color_scheme="gray")),
        rx.button(action, loading=ConnectState.busy, **props),
        spacing="3",
        justify="end",
        margin_top=space(4),
    )


def _form(provider: rx.Var[str], connection_id: Any, *fields: rx.Component) -> rx.Component:
    return rx.form(
        rx.el.input(type="hidden", name="provider", value=provider),
        rx.el.input(type="hidden", name="connection_id", value=connection_id),
        rx.flex(*fields, error_callout(ConnectState.error), direction="column", spacing="4"),
        _foot("Connect", type="submit"),
        on_submit=ConnectState.submit,
    )


def _password_form(provider: rx.Var[str], connection_id: Any) -> rx.Component:
    return _form(
        provider,
        connection_id,
        field(
            "Email or server address",
            text_input(unbound("connect-address"), name="address", required=True, auto_complete="url"),
            for_=unbound("connect-address"),
            hint="Your email address finds Apple iCloud, Fastmail and many others; else type the server’s address.",
        ),
        field(
            "User name",
            text_input(unbound("connect-username"), name="username", auto_complete="username"),
            for_=unbound("connect-username"),
            hint="Only if it is not the email address.",
        ),
        field(
            "App password",
            text_input(
                unbound("connect-password"),
                name="password",
                type="password",
                required=True,
                auto_complete="off",
            ),
            for_=unbound("connect-password"),
            hint="A password made for this purpose, in the security settings of your account. "
            "It is kept encrypted and can be withdrawn there at any time.",
        ),
    )


_LINK_HINT = "The link to an .ics file. Its events count as busy; nothing is ever written there."
_NEW_LINK_HINT = "The same link again, or the new one if its publisher has changed it."


def _address_form(provider: rx.Var[str], connection_id: Any, hint: str = _LINK_HINT) -> rx.Component:
    return _form(
        provider,
        connection_id,
        field(
            "Address of the calendar",
            text_input(
                unbound("connect-address"),
                name="address",
                required=True,
                placeholder="https://… or webcal://…",
                auto_complete="url",
            ),
            for_=unbound("connect-address"),
            hint=hint,
        ),
    )


def _file_form() -> rx.Component:
    return rx.box(
        rx.text(
            "Events of the file are shown and count as busy. Importing makes a copy: later changes of the file do "
            "not arrive.",
            size="2",
            color_scheme="gray",
        ),
        dropzone(
            UPLOAD,
            label="Choose an .ics file",
            hint="Choose an .ics file, or drop it here",
            icon="file-up",
            accept={"text/calendar": [".ics", ".ical", ".ifb"]},
        ),
        error_callout(ConnectState.error),
        success_callout(ConnectState.imported),
        rx.cond(
            ConnectState.skipped.length() > 0,
            rx.box(
                rx.text("Not everything could be read", size="2", weight="medium", margin_top=space(3)),
                rx.el.ul(
                    rx.foreach(
                        ConnectState.skipped,
                        lambda line: rx.el.li(
                            rx.text(line.where, size="2", class_name="wrap-anywhere"),
                            rx.text(line.reason, size="2", color_scheme="gray"),
                        ),
                    ),
                    class_name="plain",
                ),
            ),
        ),
        _foot("Import", on_click=ConnectState.take_file(rx.upload_files(upload_id=UPLOAD))),
    )


def reconnect_button(row: ConnectionRow, **props: Any) -> rx.Component:
    """Bring the same connection back: its calendars and links stay."""
    title = "Reconnect " + row.account
    return rx.match(
        row.sign_in,
        (
            "oauth",
            rx.button("Reconnect", on_click=CalendarsState.reconnect(row.provider, row.id), **props),
        ),
        (
            "password",
            _dialog(rx.button("Reconnect", **props), row.id, title, _password_form(row.provider, row.id)),
        ),
        (
            "address",
            _dialog(
                rx.button("Reconnect", **props),
                row.id,
                title,
                _address_form(row.provider, row.id, _NEW_LINK_HINT),
            ),
        ),
        rx.fragment(),
    )


def _button(provider: ProviderRow) -> rx.Component:
    props: dict[str, Any] = {"variant": "soft", "size": "2"}
    return rx.match(
        provider.sign_in,
        (
            "oauth",
            rx.button("Connect " + provider.title, on_click=CalendarsState.connect(provider.key), **props),
        ),
        (
            "password",
            _dialog(
                rx.button("Connect " + provider.title, **props),
                provider.key,
                "Connect " + provider.title,
                _password_form(provider.key, ""),
            ),
        ),
        (
            "address",
            _dialog(
                rx.button("Subscribe to a link", **props),
                provider.key,
                "Subscribe to a calendar link",
                _address_form(provider.key, ""),
            ),
        ),
        _dialog(rx.button("Import a file", **props), provider.key, "Import an .ics file", _file_form()),
    )


def _card(provider: ProviderRow) -> rx.Component:
    return rx.el.li(
        provider_tile(provider.key),
        rx.box(
            rx.text(provider.title, size="2", weight="medium"),
            rx.cond(provider.note != "", rx.text(provider.note, size="1", color_scheme="gray")),
            rx.cond(
                ~provider.configured,
                rx.text(
                    "Not configured: an operator has to set ",
                    rx.code(provider.missing),
                    ".",
                    size="1",
                    color_scheme="gray",
                ),
            ),
            flex="1 1 10rem",
            min_width="0",
        ),
        rx.cond(provider.configured, _button(provider)),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def connect_section() -> rx.Component:
    """Everything that can be connected, with the button or form that does it."""
    return rx.el.section(
        rx.heading("Connect a calendar", as_="h2", size="3", padding=space(4)),
        rx.el.ul(rx.foreach(CalendarsState.providers, _card), class_name="plain"),
        class_name="list",
        aria_label="Connect a calendar",
    )
