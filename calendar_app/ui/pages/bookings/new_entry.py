"""A booking that staff make for a customer, or an event in a calendar of their own: from the grid or a button."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.clock import utc_now
from calendar_app.domain.booking_form import GivenDetails
from calendar_app.errors import AlmanacError
from calendar_app.services.bookings import create as booking_create
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import calendars
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.events import commands as event_commands
from calendar_app.ui import notices
from calendar_app.ui.components.feedback import error_callout
from calendar_app.ui.components.forms import field, text_input, unbound
from calendar_app.ui.pages.bookings.by_hand import NOT_A_TIME, grid_span, typed_span
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting
from calendar_app.ui.theme import space

BOOKING, EVENT = "booking", "event"


@dataclass
class Choice:
    """An event type or a calendar to choose; ``url`` is an event type's booking page."""

    id: str
    name: str
    url: str = ""


class NewEntry(rx.State):
    """What is being made. ``key`` makes of one form, sent twice, one event."""

    is_open: bool = False
    kind: str = BOOKING
    event_types: list[Choice] = []  # noqa: RUF012 - Reflex copies defaults per session
    calendars: list[Choice] = []  # noqa: RUF012
    day: str = ""
    start: str = ""
    end: str = ""
    error: str = ""
    key: str = ""

    @rx.event
    async def begin(self, kind: str, start: str, end: str) -> Any:
        """Open the form on ``[start, end)``; without them on the next full hour."""
        actor, session = await acting(self), await self.get_state(SessionState)
        zone = ZoneInfo(session.zone)
        try:
            first, last = (at.astimezone(zone) for at in grid_span(start, end, session.zone))
        except ValueError:
            hour = utc_now().astimezone(zone).replace(minute=0, second=0, microsecond=0)
            first, last = hour + timedelta(hours=1), hour + timedelta(hours=1, minutes=30)
        self.event_types, self.calendars = await asyncio.to_thread(_choices, actor)
        self.kind = EVENT if kind == EVENT and self.calendars else BOOKING
        self.day, self.start, self.end = f"{first:%Y-%m-%d}", f"{first:%H:%M}", f"{last:%H:%M}"
        self.error, self.key, self.is_open = "", uuid.uuid4().hex, True

    @rx.event
    def set_kind(self, value: str | list[str]) -> None:
        """Make a booking or an event."""
        self.kind, self.error = EVENT if value == EVENT else BOOKING, ""

    @rx.event
    def close(self, is_open: bool) -> None:
        """Leave the form."""
        self.is_open = is_open

    @rx.event
    async def make(self, form: dict[str, Any]) -> Any:
        """Make the booking or the event."""
        actor, session = await acting(self), await self.get_state(SessionState)
        given = {name: str(value) for name, value in form.items()}
        make, said = (_make_event, "Added.") if self.kind == EVENT else (_make_booking, "Booked.")
        try:
            span = typed_span(
                given.get("day", ""), given.get("from", ""), given.get("to", "00:00"), session.zone
            )
            await asyncio.to_thread(make, actor, span, session.zone, given, self.key)
        except AlmanacError as error:
            self.error = error.detail
            return None
        except ValueError:
            self.error = NOT_A_TIME
            return None
        self.is_open = False
        return notices.success(said)


keep(NewEntry, "is_open", "kind", "event_types", "calendars", "day", "start", "end", "key")


def _choices(actor: Actor) -> tuple[list[Choice], list[Choice]]:
    """Event types that can be booked, and the actor's own calendars that can be written."""
    kinds = [
        Choice(view.id, view.title, view.url)
        for view in event_type_queries.list_event_types(actor)
        if view.is_active
    ]
    mine = {
        one.id
        for one in connection_queries.list_connections(actor)
        if one.person_id == actor.person_id and one.status in ("connected", "syncing", "error")
    }
    writable = [
        Choice(view.id, f"{view.name} ({connection_queries.title(view.provider)})")
        for view in calendars.list_calendars(actor)
        if view.connection_id in mine and view.access_role in ("owner", "writer")
    ]
    return kinds, writable


def _make_booking(
    actor: Actor, span: tuple[datetime, datetime], zone: str, given: dict[str, str], key: str
) -> None:
    booking_create.create_booking(
        given.get("event_type", ""),
        span[0],
        zone,
        given.get("name", ""),
        given.get("email", ""),
        {},
        given=GivenDetails(phone=given.get("phone", "")),
        actor=actor,
    )


def _make_event(
    actor: Actor, span: tuple[datetime, datetime], zone: str, given: dict[str, str], key: str
) -> None:
    event_commands.create_event(
        actor,
        given.get("calendar", ""),
        summary=given.get("title", ""),
        start=span[0],
        end=span[1],
        location=given.get("location", ""),
        timezone=zone,
        key=key,
    )


def new_dialog(then: Any, *, events: bool) -> rx.Component:
    """The form; ``events``: for events too, and not for bookings alone. ``then`` reads the page's own list."""
    what = rx.segmented_control.root(
        rx.segmented_control.item("Booking for a customer", value=BOOKING),
        rx.segmented_control.item("Event in my calendar", value=EVENT),
        value=NewEntry.kind,
        on_change=NewEntry.set_kind,
        aria_label="What to make",
        margin_bottom=space(4),
    )
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title("New"),
            rx.dialog.description(
                "A customer’s booking follows the event type; its emails go out as if they had booked.",
                size="2",
                margin_bottom=space(3),
            ),
            rx.cond(NewEntry.calendars.length() > 0, what) if events else rx.fragment(),
            error_callout(NewEntry.error),
            rx.form(
                rx.cond(NewEntry.kind == EVENT, _event_fields(), _booking_fields()),
                rx.flex(
                    rx.dialog.close(rx.button("Cancel", type="button", variant="soft", color_scheme="gray")),
                    rx.button(rx.cond(NewEntry.kind == EVENT, "Add event", "Book"), type="submit"),
                    spacing="3",
                    justify="end",
                    margin_top=space(4),
                ),
                on_submit=[NewEntry.make, then],
                key=NewEntry.key,
                margin_top=space(3),
            ),
            max_width="30rem",
        ),
        open=NewEntry.is_open,
        on_open_change=NewEntry.close,
    )


def new_button(label: str) -> rx.Component:
    return rx.button(
        rx.icon("plus", size=16, aria_hidden="true"), label, on_click=NewEntry.begin(BOOKING, "", "")
    )


def _booking_fields() -> rx.Component:
    return rx.flex(
        _select("event_type", "Event type", NewEntry.event_types),
        _times(with_end=False),
        _text("name", "Customer’s name", required=True, max_length=120),
        _text("email", "Customer’s email", type="email", required=True, max_length=320),
        _text("phone", "Phone, if the event type asks for it", type="tel", max_length=40),
        direction="column",
        spacing="3",
    )


def _event_fields() -> rx.Component:
    return rx.flex(
        _select("calendar", "Calendar", NewEntry.calendars),
        _text("title", "Title", required=True, max_length=300),
        _times(with_end=True),
        _text("location", "Location (optional)", max_length=500),
        direction="column",
        spacing="3",
    )


def _text(name: str, label: str, **props: Any) -> rx.Component:
    id_ = unbound(f"new-{name}")
    return field(label, text_input(id_, name=name, **props), for_=id_)


def _select(name: str, label: str, choices: Any) -> rx.Component:
    id_ = unbound(f"new-{name}")
    control = rx.el.select(
        rx.foreach(choices, lambda one: rx.el.option(one.name, value=one.id)),
        id=id_,
        name=name,
        required=True,
        class_name="select",
    )
    return field(label, control, for_=id_)


def _times(*, with_end: bool) -> rx.Component:
    parts = [("Date", "day", "date", NewEntry.day), ("From", "from", "time", NewEntry.start)]
    parts += [("To", "to", "time", NewEntry.end)] if with_end else []
    return rx.flex(
        *(
            rx.box(
                field(
                    label,
                    rx.el.input(
                        id=unbound(f"new-{name}"),
                        name=name,
                        type=kind,
                        default_value=value,
                        required=True,
                        class_name="input-native",
                    ),
                    for_=unbound(f"new-{name}"),
                )
            )
            for label, name, kind, value in parts
        ),
        spacing="3",
        wrap="wrap",
    )
