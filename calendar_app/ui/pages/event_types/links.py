"""Private links of one event type: made, copied and ended in a dialog."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.common.permissions import Actor
from calendar_app.services.event_types import links
from calendar_app.services.event_types.links import LinkView
from calendar_app.ui import formats, notices
from calendar_app.ui.components.feedback import error_callout
from calendar_app.ui.components.forms import field, text_input, unbound
from calendar_app.ui.session import SessionState, acting
from calendar_app.ui.theme import space


@dataclass
class LinkRow:
    """A link in the list."""

    id: str
    label: str
    detail: str
    url: str
    ended: bool


def link_row(view: LinkView, zone: str) -> LinkRow:
    """What the list says of a link; its last day is one of ``zone``."""
    parts = ["One booking" if view.single_use else "Any number of bookings"]
    if view.expires_at is not None:
        last = (view.expires_at - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date()
        parts.append(f"until {formats.day(last)}")
    if view.ended:
        parts.append("used" if view.used else "ended")
    return LinkRow(view.id, view.label or "Private link", ", ".join(parts), view.url, view.ended)


class LinksState(rx.State):
    """The links of one event type; the dialog is open while ``event_type_id`` is set."""

    event_type_id: str = ""
    rows: list[LinkRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    error: str = ""

    @rx.event
    async def toggle(self, event_type_id: str, is_open: bool) -> None:
        """Open the links of an event type, or close them."""
        self.event_type_id, self.error, self.rows = "", "", []
        if is_open:
            await self._read(await acting(self), event_type_id)
            self.event_type_id = event_type_id

    async def _read(self, actor: Actor, event_type_id: str) -> None:
        zone = (await self.get_state(SessionState)).zone
        found = await asyncio.to_thread(links.list_links, actor, event_type_id)
        self.rows = [link_row(view, zone) for view in found]

    @rx.event
    async def create(self, form: dict[str, Any]) -> Any:
        """Make a link."""
        actor, self.error = await acting(self), ""
        zone = (await self.get_state(SessionState)).zone
        try:
            given = str(form.get("link-last-day", ""))
            end = None
            if given:
                end = datetime.combine(date.fromisoformat(given) + timedelta(days=1), time(), ZoneInfo(zone))
            await asyncio.to_thread(
                links.create_link,
                actor,
                self.event_type_id,
                label=str(form.get("link-label", "")),
                single_use=form.get("link-use") != "many",
                expires_at=end,
            )
        except (ValueError, OverflowError):
            self.error = "Please give the last day as a date."
            return None
        except AlmanacError as error:
            self.error = error.detail
            return None
        await self._read(actor, self.event_type_id)
        return notices.success("The link is ready to copy.")

    @rx.event
    async def delete(self, link_id: str) -> Any:
        """End a link."""
        actor, self.error = await acting(self), ""
        try:
            await asyncio.to_thread(links.delete_link, actor, self.event_type_id, link_id)
        except AlmanacError as error:
            self.error = error.detail
            return None
        await self._read(actor, self.event_type_id)
        return notices.success("The link leads nowhere any more.")


def _row(row: LinkRow) -> rx.Component:
    return rx.el.li(
        rx.box(
            rx.text(row.label, size="2", weight="medium", class_name="wrap-anywhere"),
            rx.text(row.detail, size="1", color_scheme="gray"),
            flex="1 1 10rem",
            min_width="0",
        ),
        rx.cond(
            row.ended,
            rx.fragment(),
            rx.button(
                "Copy",
                variant="soft",
                aria_label="Copy the link " + row.label,
                on_click=[rx.set_clipboard(row.url), notices.success("Link copied.")],
            ),
        ),
        rx.button(
            "Delete",
            variant="ghost",
            color_scheme="gray",
            aria_label="Delete the link " + row.label,
            on_click=LinksState.delete(row.id),
        ),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _form() -> rx.Component:
    return rx.form(
        rx.flex(
            field(
                "For whom",
                text_input(unbound("link-label"), max_length=100, placeholder="Only you see this"),
                for_=unbound("link-label"),
            ),
            field(
                "Good for",
                rx.el.select(
                    rx.el.option("One booking", value="one"),
                    rx.el.option("Any number of bookings", value="many"),
                    id=unbound("link-use"),
                    name="link-use",
                    class_name="select",
                ),
                for_=unbound("link-use"),
            ),
            field(
                "Last day (optional)",
                text_input(unbound("link-last-day"), type="date"),
                for_=unbound("link-last-day"),
            ),
            error_callout(LinksState.error),
            rx.flex(
                rx.dialog.close(rx.button("Close", type="button", variant="soft", color_scheme="gray")),
                rx.button("Make link", type="submit"),
                justify="end",
                spacing="3",
            ),
            direction="column",
            spacing="3",
        ),
        on_submit=LinksState.create,
    )


def links_dialog(event_type_id: Any, title: Any) -> rx.Component:
    """The button and the dialog of one event type."""
    return rx.dialog.root(
        rx.dialog.trigger(
            rx.button("Links", variant="soft", color_scheme="gray", size="2", aria_label="Links to " + title)
        ),
        rx.dialog.content(
            rx.dialog.title("Private links"),
            rx.dialog.description(
                "Who has one can book, also what is not listed.", size="2", margin_bottom=space(4)
            ),
            rx.cond(
                LinksState.rows.length() > 0,
                rx.el.ul(rx.foreach(LinksState.rows, _row), class_name="plain list", aria_label="Links"),
                rx.text("None yet.", size="2", color_scheme="gray"),
            ),
            rx.box(_form(), margin_top=space(4)),
            max_width="34rem",
        ),
        open=LinksState.event_type_id == event_type_id,
        on_open_change=lambda is_open: LinksState.toggle(event_type_id, is_open),
    )
