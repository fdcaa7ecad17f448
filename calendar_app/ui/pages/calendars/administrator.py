"""The link for an administrator who has to allow Almanac first, and the pages that they see afterwards."""

from __future__ import annotations

import asyncio
from zoneinfo import ZoneInfo

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.connection_lifecycle import administrator_consent
from calendar_app.services.connections import queries as connection_queries
from calendar_app.ui import formats, notices
from calendar_app.ui.layout import brand, skip_link
from calendar_app.ui.oauth import offers_link
from calendar_app.ui.session import SessionState, acting
from calendar_app.ui.theme import space

ADMINISTRATOR = "/administrator"


class AdministratorState(rx.State):
    """``provider`` is whose administrators are asked, by key and title; empty where none is configured."""

    provider: str = ""
    title: str = ""
    urgent: bool = False
    link: str = ""
    until: str = ""

    @rx.event
    async def look(self) -> None:
        """Whether there is anything to offer, and whether the last attempt failed for want of it."""
        kinds = await asyncio.to_thread(connection_queries.providers)
        kind = next((kind for kind in kinds if kind.administrators and kind.configured), None)
        self.provider, self.title = (kind.key, kind.title) if kind else ("", "")
        self.urgent = kind is not None and offers_link(self.router.url.query_parameters)
        self.link, self.until = "", ""

    @rx.event
    async def make(self) -> rx.event.EventSpec | None:
        """A new link, which the page then shows."""
        actor = await acting(self)
        try:
            made = await asyncio.to_thread(administrator_consent.administrator_link, actor, self.provider)
        except AlmanacError as error:
            return notices.error(error.detail)
        session = await self.get_state(SessionState)
        self.link, self.until = (
            made.url,
            formats.day(made.expires_at.astimezone(ZoneInfo(session.zone)).date()),
        )
        return None


def _link() -> rx.Component:
    return rx.box(
        rx.text(
            "Send this address to your administrator. It works once, until " + AdministratorState.until + ".",
            size="2",
            id="administrator-link-label",
        ),
        rx.flex(
            rx.input(
                value=AdministratorState.link,
                read_only=True,
                aria_labelledby="administrator-link-label",
                size="2",
                flex="1 1 12rem",
                min_width="0",
            ),
            rx.button(
                "Copy link",
                variant="soft",
                on_click=[rx.set_clipboard(AdministratorState.link), notices.success("Link copied.")],
            ),
            spacing="3",
            wrap="wrap",
            margin_top=space(2),
        ),
        margin_top=space(3),
    )


def ask_administrator() -> rx.Component:
    """What to do where an organization lets only its administrator allow applications."""
    return rx.box(
        rx.cond(
            AdministratorState.provider != "",
            rx.card(
                rx.flex(
                    rx.box(
                        rx.heading(
                            "Does " + AdministratorState.title + " ask for an administrator’s approval?",
                            as_="h2",
                            size="3",
                        ),
                        rx.text(
                            "In many organizations only an administrator may allow applications to use calendars. "
                            "They open a link once and agree for everybody; after that, connect your account here. "
                            "Each person still decides alone whether to connect.",
                            size="2",
                            color_scheme="gray",
                            margin_top=space(1),
                        ),
                        flex="1 1 18rem",
                        min_width="0",
                    ),
                    rx.cond(
                        AdministratorState.link == "",
                        rx.button(
                            "Get a link for the administrator",
                            on_click=AdministratorState.make,
                            variant=rx.cond(AdministratorState.urgent, "solid", "soft"),
                        ),
                    ),
                    spacing="4",
                    align="center",
                    justify="between",
                    wrap="wrap",
                ),
                rx.cond(AdministratorState.link != "", _link()),
                size="2",
                width="100%",
                id="administrator",
            ),
        ),
        on_mount=AdministratorState.look,
        width="100%",
    )


def _answer(icon: str, title: str, text: str) -> rx.Component:
    return rx.fragment(
        skip_link(),
        rx.el.div(
            rx.el.header(brand("/"), class_name="landing-top"),
            rx.el.main(
                rx.flex(
                    rx.el.span(rx.icon(icon, size=24), class_name="empty-icon", aria_hidden="true"),
                    rx.heading(title, as_="h1", size="7"),
                    rx.text(text, color_scheme="gray", max_width="30rem"),
                    direction="column",
                    align="center",
                    spacing="4",
                    padding_y=space(9),
                    text_align="center",
                ),
                id="main",
                tab_index=-1,
            ),
            class_name="public",
        ),
    )


def agreed() -> rx.Component:
    return _answer(
        "circle-check",
        "Thank you, that is done",
        "People of your organization can now connect their calendars to Almanac, each their own. Tell the person who "
        "sent you the link that they can go on. You can close this page.",
    )


def refused() -> rx.Component:
    return _answer(
        "circle-x",
        "You did not agree",
        "Nothing has changed, and nobody’s calendar was connected. If that was a mistake, ask the person who sent you "
        "the link for a new one: each works once.",
    )


def again() -> rx.Component:
    return _answer(
        "link-2-off",
        "This link is not valid any more",
        "Each link works once and for seven days. If you have agreed before, nothing more is needed; else ask the "
        "person who sent you the link for a new one.",
    )


PAGES = (("agreed", agreed), ("refused", refused), ("again", again))
