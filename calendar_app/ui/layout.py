"""The frame around every page: rail on a desktop, bottom bar on a phone, a plain shell for the public ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import reflex as rx
from reflex.style import color_mode, set_color_mode

from calendar_app.ui import reloading
from calendar_app.ui.components import plain
from calendar_app.ui.components.browser import lifecycle
from calendar_app.ui.components.feedback import warning_callout
from calendar_app.ui.live import Live
from calendar_app.ui.notices import notices
from calendar_app.ui.oauth import Reconnect
from calendar_app.ui.reloading import Loaded
from calendar_app.ui.session import SessionState
from calendar_app.ui.theme import space


@dataclass(frozen=True)
class NavItem:
    """An entry of the rail; ``short`` is its name in the bar of a phone, where it has room for it. ``roles``: whom it
    is shown to, where it leads nobody else anywhere."""

    path: str
    name: str
    short: str
    icon: str
    roles: tuple[str, ...] = ()


NAVIGATION = (
    NavItem("/dashboard", "Dashboard", "Dashboard", "layout-dashboard"),
    NavItem("/bookings", "Bookings", "Bookings", "calendar-check"),
    NavItem("/settings/event-types", "Event types", "Event types", "shapes"),
    NavItem("/settings/availability", "Availability", "Availability", "clock"),
    NavItem("/settings/calendars", "Calendars", "Calendars", "calendars"),
    NavItem("/settings/team", "Team", "", "users"),
    NavItem("/settings/workspace", "Workspace", "", "store"),
    NavItem("/settings/webhooks", "Webhooks", "", "webhook", roles=("manager", "admin", "owner")),
    NavItem("/admin", "Operations", "", "activity", roles=("admin", "owner")),
    NavItem("/settings/profile", "Profile", "", "user-round"),
    NavItem("/settings/security", "Security", "", "shield-check"),
)
REFRESH_SECONDS = 60
SAYS_ITSELF = ("/dashboard", "/settings/calendars")
"""Pages that say beside each account that it has to be reconnected."""


SAYS_UNRECEIVED = ("/dashboard", "/settings/calendars", "/settings/event-types")
"""Pages that say whose bookings no calendar receives."""


def brand(href: str = "/dashboard") -> rx.Component:
    return rx.el.a(rx.el.img(src="/favicon.svg", alt=""), "Almanac", href=href, class_name="brand")


def skip_link() -> rx.Component:
    return plain.link("Skip to content", href="#main", class_name="skip")


def theme_switch() -> rx.Component:
    """Light, dark, or as the system has it."""
    return rx.segmented_control.root(
        *(rx.segmented_control.item(name.title(), value=name) for name in ("light", "dark", "system")),
        value=color_mode,
        on_change=set_color_mode,
        size="1",
        width="100%",
    )


def page(
    title: str,
    *content: rx.Component,
    path: str,
    on_ready: Any,
    on_change: Any = None,
    actions: rx.Component | None = None,
    lead: rx.Component | str = "",
    narrow: bool = False,
    kept: Sequence[type[rx.State]] = (),
) -> rx.Component:
    """A page of the workspace. ``on_ready(zone, hour12)`` loads it, ``on_change`` reads again after a change.

    ``kept`` are the states of which the page holds something that outlives their loss: see
    :mod:`calendar_app.ui.reloading`.
    """
    changes: dict[str, Any] = {
        "on_change": on_change or Loaded.beat,
        "seconds": REFRESH_SECONDS,
        "load": Loaded.number,
        "restored": Loaded.restored,
        "owner": Loaded.owner,
        "kept": reloading.kept((SessionState, *kept)),
        "on_restore": Loaded.restore,
    }
    if on_change:
        changes |= {"told": Live.told, "shown": Live.shown}
    changes["socket"] = rx.State.router.session.session_id
    return rx.fragment(
        skip_link(),
        notices(),
        lifecycle(on_ready=on_ready, leave_to=SessionState.leave_to, **changes),
        rx.el.div(
            _rail(path),
            rx.el.div(
                _top_bar(),
                rx.el.main(
                    _banner(),
                    rx.fragment() if path in SAYS_ITSELF else _lost(),
                    _unreceived(path) if path in SAYS_UNRECEIVED else rx.fragment(),
                    _heading(title, lead, actions),
                    *content,
                    id="main",
                    tab_index=-1,
                    class_name="page page-narrow" if narrow else "page",
                ),
            ),
            class_name="frame",
        ),
        rx.el.nav(_links(path, short=True), class_name="bottom-bar", aria_label="Sections"),
    )


def times_in(before: rx.Var[str] | str = "") -> rx.Component:
    """What stands below a heading: the zone that times are shown in, once it is known."""
    return rx.text(
        before,
        rx.cond(SessionState.person_id != "", "Times in " + SessionState.zone, ""),
        color_scheme="gray",
        size="2",
        margin_top=space(2),
        min_height="1lh",
    )


def public_page(
    *content: rx.Component, on_ready: Any, on_change: Any = None, seconds: int = 0
) -> rx.Component:
    """A page for people without an account: no navigation; ``on_change`` is called every ``seconds``."""
    changes: dict[str, Any] = {"socket": rx.State.router.session.session_id}
    changes |= {"on_change": on_change, "seconds": seconds} if on_change else {}
    return rx.fragment(
        skip_link(),
        notices(),
        lifecycle(on_ready=on_ready, **changes),
        rx.el.div(
            rx.el.main(*content, id="main", tab_index=-1),
            rx.el.footer(
                rx.text(
                    "Scheduling by ",
                    rx.el.a("Almanac", href="/", class_name="text-link"),
                    size="1",
                    color_scheme="gray",
                ),
                class_name="public-footer",
            ),
            class_name="public",
        ),
    )


def _heading(title: str, lead: rx.Component | str, actions: rx.Component | None) -> rx.Component:
    return rx.flex(
        rx.box(
            rx.heading(title, as_="h1", size="7", weight="bold", trim="start"),
            rx.text(lead, color_scheme="gray", size="2", margin_top=space(2))
            if isinstance(lead, str) and lead
            else lead,
        ),
        actions or rx.fragment(),
        justify="between",
        align="center",
        spacing="4",
        wrap="wrap",
        margin_bottom=space(5),
    )


def _banner() -> rx.Component:
    return rx.cond(
        SessionState.sandbox,
        rx.callout.root(
            rx.callout.icon(rx.icon("flask-conical", size=16, aria_hidden="true")),
            rx.callout.text(
                "Sandbox: the calendars here are local stand-ins, nothing leaves this machine. ",
                plain.link("See what the providers hold", href="/sandbox", class_name="text-link"),
            ),
            size="1",
            color_scheme="gray",
            margin_bottom=space(5),
            role="note",
        ),
    )


def _lost() -> rx.Component:
    """Nobody is disconnected silently, wherever they are."""
    return rx.cond(
        SessionState.lost != "",
        rx.box(
            warning_callout(
                "Not connected any more: "
                + SessionState.lost
                + ". Bookings are written there once it is reconnected.",
                rx.button("Reconnect", size="1", on_click=Reconnect.first),
            ),
            margin_bottom=space(5),
        ),
    )


def _unreceived(path: str) -> rx.Component:
    """Whose bookings reach no calendar, and where to choose one."""
    here = path == "/settings/calendars"
    advice = " Connect one below, or switch on “Write bookings here”." if here else ""
    choose = rx.button(rx.el.a("Choose a calendar", href="/settings/calendars"), size="1", as_child=True)
    return rx.cond(
        SessionState.unreceived != "",
        rx.box(
            warning_callout(SessionState.unreceived + advice, *([] if here else [choose])),
            margin_bottom=space(5),
        ),
    )


def _links(path: str, *, short: bool = False) -> rx.Component:
    return rx.el.ul(
        *(
            _for_whom(
                item,
                rx.link(
                    rx.icon(item.icon, size=18, aria_hidden="true"),
                    item.short if short else item.name,
                    _waiting() if item.path == "/bookings" else rx.fragment(),
                    href=item.path,
                    class_name="nav-link",
                    underline="none",
                    custom_attrs={"aria-current": "page"} if item.path == path else {},
                ),
            )
            for item in NAVIGATION
            if item.short or not short
        )
    )


def _for_whom(item: NavItem, link: rx.Component) -> rx.Component:
    """The entry, for whom it is."""
    if not item.roles:
        return rx.el.li(link)
    return rx.cond(rx.Var.create(list(item.roles)).contains(SessionState.role), rx.el.li(link))


def _waiting() -> rx.Component:
    """How many bookings wait for an answer; nothing where none does."""
    return rx.cond(
        SessionState.waiting > 0,
        rx.el.span(
            SessionState.waiting,
            rx.el.span(" waiting for approval", class_name="visually-hidden"),
            class_name="nav-count",
        ),
    )


def _rail(path: str) -> rx.Component:
    return rx.el.header(
        rx.box(brand(), padding_x=space(3)),
        rx.el.nav(_links(path), aria_label="Main", style={"flex": "1"}),
        _person_menu(compact=False),
        class_name="rail",
    )


def _top_bar() -> rx.Component:
    return rx.el.header(brand(), _person_menu(compact=True), class_name="top-bar")


def _person_menu(*, compact: bool) -> rx.Component:
    who = (
        rx.fragment()
        if compact
        else rx.el.span(
            rx.text(SessionState.workspace_name, size="2", weight="medium", class_name="clip", as_="div"),
            rx.text(SessionState.name, size="1", color_scheme="gray", class_name="clip", as_="div"),
            style={"min-width": "0", "flex": "1"},
        )
    )
    return rx.popover.root(
        rx.popover.trigger(
            rx.el.button(
                rx.avatar(fallback=SessionState.initials, size="2", radius="full", aria_hidden="true"),
                who,
                rx.icon("chevrons-up-down", size=14, aria_hidden="true") if not compact else rx.fragment(),
                class_name="person",
                type="button",
                aria_label="Account and workspace",
            )
        ),
        rx.popover.content(_person_card(), width="17rem", aria_label="Account and workspace"),
    )


def _person_card() -> rx.Component:
    return rx.flex(
        rx.box(
            rx.text(SessionState.name, weight="medium", size="2"),
            rx.text(SessionState.email, color_scheme="gray", size="1", class_name="wrap-anywhere"),
        ),
        rx.separator(size="4"),
        rx.box(
            rx.text("Workspace", size="1", color_scheme="gray", margin_bottom=space(1)),
            rx.foreach(
                SessionState.workspaces,
                lambda option: rx.button(
                    rx.icon("building-2", size=14, aria_hidden="true"),
                    option.name,
                    variant="ghost",
                    color_scheme="gray",
                    on_click=SessionState.switch(option.id),
                    margin_y=space(1),
                ),
            ),
        ),
        rx.el.ul(
            *(
                _for_whom(
                    item,
                    rx.link(
                        rx.icon(item.icon, size=14, aria_hidden="true"),
                        item.name,
                        href=item.path,
                        size="2",
                        class_name="nav-link",
                        underline="none",
                    ),
                )
                for item in NAVIGATION
                if not item.short
            ),
            class_name="plain",
        ),
        rx.separator(size="4"),
        rx.box(rx.text("Appearance", size="1", color_scheme="gray", margin_bottom=space(1)), theme_switch()),
        rx.separator(size="4"),
        plain.form(
            rx.button(
                rx.icon("log-out", size=14, aria_hidden="true"),
                "Sign out",
                type="submit",
                variant="soft",
                width="100%",
            ),
            action="/auth/sign-out",
            method="post",
        ),
        direction="column",
        spacing="3",
    )
