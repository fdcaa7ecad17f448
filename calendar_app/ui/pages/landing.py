"""``/``: what this is, and the ways in."""

from __future__ import annotations

import reflex as rx

from calendar_app.settings import get_settings
from calendar_app.ui.components import plain
from calendar_app.ui.components.browser import lifecycle
from calendar_app.ui.layout import brand, skip_link
from calendar_app.ui.session import identify
from calendar_app.ui.theme import space

PROMISES = (
    (
        "shield-check",
        "No double bookings",
        "The database itself refuses a second booking on the same time. No race, no luck involved.",
    ),
    (
        "calendar-sync",
        "One event per booking",
        "Every booking reaches your calendar once, is checked there, and the receipt says so.",
    ),
    (
        "radio",
        "Live, both ways",
        "Move something in your calendar and it moves here, without a reload. Free times follow.",
    ),
    (
        "plug-zap",
        "Never silently disconnected",
        "If a calendar stops answering you are told, its last known events keep counting as busy.",
    ),
)


class LandingState(rx.State):
    """Whether to offer the demo, and the way back in for who is signed in."""

    sandbox: bool = False
    known: bool = False

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Look who is there; nobody needs to be."""
        self.sandbox = get_settings().sandbox
        self.known = await identify(self) is not None


def _promise(icon: str, title: str, text: str) -> rx.Component:
    return rx.card(
        rx.icon(icon, size=22, color=rx.color("accent", 11), aria_hidden="true"),
        rx.heading(title, as_="h2", size="3", margin_top=space(3), margin_bottom=space(1)),
        rx.text(text, size="2", color_scheme="gray"),
        size="3",
    )


def _link_button(text: str, href: str, **props: object) -> rx.Component:
    return rx.button(rx.el.a(text, href=href), as_child=True, size="3", **props)


def landing() -> rx.Component:
    return rx.fragment(
        skip_link(),
        lifecycle(on_ready=LandingState.load),
        rx.el.header(
            brand("/"),
            rx.flex(
                rx.cond(
                    LandingState.known,
                    _link_button("Open dashboard", "/dashboard"),
                    rx.fragment(
                        _link_button("Sign in", "/login", variant="ghost", color_scheme="gray"),
                        _link_button("Sign up", "/signup"),
                    ),
                ),
                spacing="5",
                align="center",
            ),
            class_name="landing-top",
        ),
        rx.el.main(
            rx.el.section(
                rx.heading(
                    "Bookings that land in the right calendar. Once.",
                    as_="h1",
                    size="9",
                    weight="bold",
                    trim="both",
                ),
                rx.text(
                    "Almanac connects your calendars, knows when you are really free, takes bookings on that, "
                    "and writes each one into your calendar within seconds.",
                    size="4",
                    color_scheme="gray",
                ),
                rx.flex(
                    _link_button("Get started", "/signup"),
                    rx.cond(
                        LandingState.sandbox,
                        rx.button(
                            plain.link("Book a demo call", href="/book/demo/intro"),
                            as_child=True,
                            size="3",
                            variant="soft",
                        ),
                    ),
                    spacing="3",
                    wrap="wrap",
                    justify="center",
                ),
                class_name="hero",
            ),
            rx.el.section(
                *(_promise(*promise) for promise in PROMISES),
                class_name="promises",
                aria_label="What you can rely on",
            ),
            id="main",
            tab_index=-1,
        ),
    )
