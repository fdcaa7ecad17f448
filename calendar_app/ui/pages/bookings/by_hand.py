"""Moving a booking to a time and length that somebody dragged it to, stepped it to with the arrow keys, or typed.

What is in the way is said before anything is moved. Afterwards the move can be undone for ten seconds, in which nobody
is told and no calendar is written.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings.views import BookingView
from calendar_app.services.common.permissions import Actor
from calendar_app.ui import formats, notices
from calendar_app.ui.components.feedback import callout, error_callout
from calendar_app.ui.components.forms import field, unbound
from calendar_app.ui.reloading import keep
from calendar_app.ui.session import SessionState, acting
from calendar_app.ui.theme import space

WAIT = timedelta(seconds=10)
"""How long a move can be undone before anybody hears of it; ``.undo-bar`` stands as long."""
NOT_A_TIME = "Please give a date and two times."


def typed_span(day: str, start: str, end: str, zone: str) -> tuple[datetime, datetime]:
    """What was typed into a date and two times, as instants; an end that is not after its start is on the next day.

    :raises ValueError: one of them is missing or none.
    """
    at = date.fromisoformat(day)
    first, last = (
        datetime.combine(at, time.fromisoformat(text).replace(tzinfo=None), ZoneInfo(zone))
        for text in (start, end)
    )
    if last <= first:
        last = datetime.combine(at + timedelta(days=1), last.time(), ZoneInfo(zone))
    return first.astimezone(UTC), last.astimezone(UTC)


def grid_span(start: str, end: str, zone: str) -> tuple[datetime, datetime]:
    """Times as the calendar names them, as instants. :raises ValueError: they are none."""
    first, last = (datetime.fromisoformat(text[:40]) for text in (start, end))
    first, last = (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone)) for at in (first, last))
    return first.astimezone(UTC), last.astimezone(UTC)


class MoveByHand(rx.State):
    """The move that is asked about; none while ``booking_id`` is empty. ``undo_id``: the move that can be undone."""

    booking_id: str = ""
    version: int = 0
    title: str = ""
    was: str = ""
    day: str = ""
    start: str = ""
    end: str = ""
    conflict: str = ""
    error: str = ""
    undo_id: str = ""
    undo_version: int = 0
    undo_start: str = ""
    undo_end: str = ""
    undo_text: str = ""

    @rx.event
    async def propose(self, booking_id: str, start: str, end: str) -> Any:
        """Ask about a move to the times at which it was dropped; without them, about the times that it has."""
        actor, session = await acting(self), await self.get_state(SessionState)
        try:
            view = await asyncio.to_thread(booking_queries.get, actor, booking_id[:64])
            span = grid_span(start, end, session.zone) if start and end else (view.start, view.end)
        except AlmanacError as error:
            return notices.error(error.detail)
        except ValueError:
            return notices.error(NOT_A_TIME)
        first, last = (at.astimezone(ZoneInfo(session.zone)) for at in span)
        self.version, self.title, self.error = view.version, f"{view.title} with {view.name}", ""
        self.was = _in_words(view, session.zone, session.hour12)
        self.day, self.start, self.end = f"{first:%Y-%m-%d}", f"{first:%H:%M}", f"{last:%H:%M}"
        self.booking_id = view.id
        await self._check(actor, session.zone)
        return None

    @rx.event
    async def set_day(self, value: str) -> None:
        """Another day."""
        self.day = value[:10]
        await self._check_again()

    @rx.event
    async def set_start(self, value: str) -> None:
        """Another start."""
        self.start = value[:5]
        await self._check_again()

    @rx.event
    async def set_end(self, value: str) -> None:
        """Another end."""
        self.end = value[:5]
        await self._check_again()

    @rx.event
    def close(self, is_open: bool) -> None:
        """Leave the booking where it is, if ``is_open`` is false."""
        if not is_open:
            self.booking_id = ""

    async def _check_again(self) -> None:
        await self._check(await acting(self), (await self.get_state(SessionState)).zone)

    async def _check(self, actor: Actor, zone: str) -> None:
        self.error = self.conflict = ""
        try:
            span = typed_span(self.day, self.start, self.end, zone)
            self.conflict = await asyncio.to_thread(
                booking_reschedule.conflict, actor, self.booking_id, *span
            )
        except AlmanacError as error:
            self.error = error.detail
        except ValueError:
            self.error = NOT_A_TIME

    @rx.event
    async def move(self, form: dict[str, Any]) -> Any:
        """Move the booking, with a note to the customer if there is one."""
        actor, session = await acting(self), await self.get_state(SessionState)
        try:
            start, end = typed_span(self.day, self.start, self.end, session.zone)
            before = await asyncio.to_thread(booking_queries.get, actor, self.booking_id)
            after = await asyncio.to_thread(
                booking_reschedule.reschedule,
                actor,
                self.booking_id,
                start,
                end=end,
                version=self.version,
                wait=WAIT,
                reason=str(form.get("note", ""))[:1_000],
            )
        except AlmanacError as error:
            self.error = error.detail
            return None
        except ValueError:
            self.error = NOT_A_TIME
            return None
        self.booking_id = ""
        if (after.start, after.end) == (before.start, before.end):
            return None
        self.undo_id, self.undo_version = after.id, after.version
        self.undo_start, self.undo_end = before.start.isoformat(), before.end.isoformat()
        self.undo_text = f"Moved to {_in_words(after, session.zone, session.hour12)}."
        return None

    @rx.event
    async def take_back(self) -> Any:
        """Undo the last move."""
        booking_id, self.undo_id = self.undo_id, ""
        if not booking_id:
            return None
        try:
            await asyncio.to_thread(
                booking_reschedule.undo,
                await acting(self),
                booking_id,
                datetime.fromisoformat(self.undo_start),
                datetime.fromisoformat(self.undo_end),
                version=self.undo_version,
            )
        except AlmanacError as error:
            return notices.error(error.detail)
        return notices.success("Undone: the booking is where it was.")


keep(MoveByHand, "booking_id", "version", "title", "was", "day", "start", "end")


def _in_words(view: BookingView, zone: str, hour12: bool) -> str:
    day = view.start.astimezone(ZoneInfo(zone)).date()
    return f"{formats.day(day)}, {formats.span(view.start, view.end, zone, hour12=hour12)}"


def move_dialog(then: Any) -> rx.Component:
    """The question before a booking is moved by hand, and the bar that undoes it; ``then`` reads the page's
    own list."""
    return rx.fragment(
        rx.dialog.root(
            rx.dialog.content(
                rx.dialog.title("Move this booking?"),
                rx.dialog.description(MoveByHand.title, ", now ", MoveByHand.was, size="2"),
                rx.form(
                    _times(),
                    rx.box(
                        error_callout(MoveByHand.error),
                        rx.cond(
                            MoveByHand.conflict != "", callout(MoveByHand.conflict, "calendar-x-2", "amber")
                        ),
                        margin_top=space(3),
                        aria_live="polite",
                    ),
                    rx.box(
                        field(
                            "Note to the customer (optional)",
                            rx.text_area(id=unbound("note"), name="note", rows="2", max_length=1_000),
                            for_=unbound("note"),
                        ),
                        margin_top=space(3),
                    ),
                    rx.flex(
                        rx.dialog.close(
                            rx.button("Leave it", type="button", variant="soft", color_scheme="gray")
                        ),
                        rx.button("Move", type="submit", disabled=MoveByHand.conflict != ""),
                        spacing="3",
                        justify="end",
                        margin_top=space(4),
                    ),
                    on_submit=[MoveByHand.move, then],
                    margin_top=space(4),
                ),
                max_width="30rem",
            ),
            open=MoveByHand.booking_id != "",
            on_open_change=MoveByHand.close,
        ),
        rx.cond(MoveByHand.undo_id != "", _undo_bar(then)),
    )


def _times() -> rx.Component:
    parts = (
        ("Date", "move-day", "date", MoveByHand.day, MoveByHand.set_day),
        ("From", "move-from", "time", MoveByHand.start, MoveByHand.set_start),
        ("To", "move-to", "time", MoveByHand.end, MoveByHand.set_end),
    )
    return rx.flex(
        *(
            rx.box(
                field(
                    label,
                    rx.el.input(
                        id=unbound(id_),
                        type=kind,
                        value=value,
                        on_change=on_change,
                        required=True,
                        class_name="input-native",
                    ),
                    for_=unbound(id_),
                )
            )
            for label, id_, kind, value, on_change in parts
        ),
        spacing="3",
        wrap="wrap",
    )


def _undo_bar(then: Any) -> rx.Component:
    return rx.el.div(
        rx.text(MoveByHand.undo_text, size="2"),
        rx.button("Undo", size="1", on_click=[MoveByHand.take_back, then]),
        key=MoveByHand.undo_version.to_string() + MoveByHand.undo_id,
        role="status",
        class_name="undo-bar",
    )
