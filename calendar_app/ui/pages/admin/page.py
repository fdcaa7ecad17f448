"""Seven tabs: connections, jobs and workers, dead letters, channels, drift, health, audit trail."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.badges import provider_tile, status_badge
from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.feedback import empty_state, error_callout, loading
from calendar_app.ui.layout import page
from calendar_app.ui.pages.admin import rows
from calendar_app.ui.pages.admin.state import AdminState
from calendar_app.ui.theme import space

PATH = "/admin"
_NAMES = (
    ("connections", "Connections"),
    ("jobs", "Jobs & workers"),
    ("letters", "Dead letters"),
    ("channels", "Channels"),
    ("drift", "Drift"),
    ("health", "Health"),
    ("audit", "Audit trail"),
)


def admin() -> rx.Component:
    contents = {
        "connections": _connections(),
        "jobs": _jobs(),
        "letters": _letters(),
        "channels": _channels(),
        "drift": _drift(),
        "health": _health(),
        "audit": _audit(),
    }
    return page(
        "Operations",
        rx.tabs.root(
            rx.tabs.list(
                *(rx.tabs.trigger(name, value=key) for key, name in _NAMES),
                size=rx.breakpoints(initial="1", sm="2"),
                class_name="tabs-scroll",
            ),
            *(
                rx.tabs.content(
                    rx.cond(
                        AdminState.shown == key,
                        rx.cond(AdminState.error != "", error_callout(AdminState.error), contents[key]),
                        loading(),
                    ),
                    value=key,
                    padding_top=space(5),
                )
                for key, _ in _NAMES
            ),
            value=AdminState.tab,
            on_change=AdminState.open_tab,
        ),
        path=PATH,
        on_ready=AdminState.load,
        on_change=AdminState.refresh,
        lead="What runs, what is late, what gave up, and who did what.",
    )


def _listed(items: rx.Var[list[object]], row: object, *empty: str) -> rx.Component:
    icon, title, text = empty
    return rx.cond(
        items.length() > 0,
        rx.el.ul(rx.foreach(items, row), class_name="plain list"),
        empty_state(icon, title, text),
    )


def _line(*parts: rx.Component) -> rx.Component:
    return rx.el.li(*parts, class_name="row", style={"flexWrap": "wrap"})


def _texts(title: object, *below: rx.Component) -> rx.Component:
    return rx.box(
        rx.text(title, size="2", weight="medium", class_name="wrap-anywhere"),
        *below,
        flex_grow="1",
        flex_basis="16rem",
        min_width="0",
    )


def _grey(*text: object) -> rx.Component:
    return rx.text(*text, size="2", color_scheme="gray", class_name="wrap-anywhere")


def _section(title: str, *content: rx.Component) -> rx.Component:
    return rx.el.section(
        rx.heading(title, as_="h2", size="4", margin_bottom=space(3)),
        *content,
        style={"margin-bottom": space(6)},
    )


# --- connections -----------------------------------------------------------------------------------------------------


def _connections() -> rx.Component:
    return _listed(
        AdminState.connections,
        _connection,
        "plug",
        "Nobody has connected an account",
        "Accounts that people of this workspace connect under Calendars appear here.",
    )


def _connection(item: rows.ConnectionItem) -> rx.Component:
    return _line(
        provider_tile(item.provider),
        _texts(
            f"{item.title} · {item.account}",
            _grey(rx.cond(item.person != "", item.person + " · ", ""), item.facts),
            rx.cond(
                item.error != "",
                rx.text(item.error, size="2", color_scheme="red", class_name="wrap-anywhere"),
            ),
        ),
        rx.flex(
            status_badge(item.status),
            rx.cond(
                item.last_sync != "",
                rx.text(ago(instant=item.last_sync, prefix="read"), size="1", color_scheme="gray"),
            ),
            direction="column",
            align="end",
            spacing="1",
        ),
    )


# --- jobs and workers ------------------------------------------------------------------------------------------------


def _jobs() -> rx.Component:
    return rx.fragment(
        _section("Queues", rx.el.ul(rx.foreach(AdminState.queues, _queue), class_name="plain list")),
        _section(
            "Workers",
            _listed(
                AdminState.workers,
                _worker,
                "circle-alert",
                "No worker runs",
                "Bookings stand, but nothing reaches calendars. Start the processes of the Procfile.",
            ),
        ),
        _section(
            "By the clock",
            rx.cond(
                AdminState.cron_seen != "",
                rx.text(
                    ago(instant=AdminState.cron_seen, prefix="The clock was last seen"),
                    size="2",
                    color_scheme="gray",
                    margin_bottom=space(3),
                ),
                error_callout(rx.Var.create("No cron process runs: nothing is done by the clock.")),
            ),
            _listed(
                AdminState.ran, _ran, "clock", "Nothing has run yet", "Jobs of the schedule appear here."
            ),
        ),
    )


def _queue(item: rows.QueueItem) -> rx.Component:
    return _line(
        _texts(item.what, _grey(item.name)),
        rx.cond(
            item.oldest != "",
            rx.text(ago(instant=item.oldest, prefix="first since"), size="2", color_scheme="gray"),
        ),
        rx.text(
            item.counts,
            size="2",
            class_name="tabular",
            color_scheme=rx.cond(item.failed > 0, "red", "gray"),
        ),
    )


def _worker(item: rows.WorkerItem) -> rx.Component:
    return _line(
        _texts(item.name, _grey(item.detail)),
        rx.badge(item.doing, variant="soft", color_scheme="gray", high_contrast=True),
        rx.text(ago(instant=item.seen, prefix="seen"), size="2", color_scheme="gray"),
    )


def _ran(item: rows.RanItem) -> rx.Component:
    return _line(
        _texts(item.job), rx.text(ago(instant=item.at, prefix="done"), size="2", color_scheme="gray")
    )


# --- dead letters ----------------------------------------------------------------------------------------------------


def _letters() -> rx.Component:
    return rx.cond(
        AdminState.letters.length() > 0,
        rx.fragment(
            rx.flex(
                rx.text("What gave up, and why. Bookings stand in any case.", size="2", color_scheme="gray"),
                rx.button(
                    rx.icon("rotate-cw", size=14, aria_hidden="true"),
                    "Retry all",
                    variant="soft",
                    on_click=AdminState.retry_all,
                ),
                justify="between",
                align="center",
                spacing="3",
                wrap="wrap",
                margin_bottom=space(3),
            ),
            rx.el.ul(rx.foreach(AdminState.letters, _letter), class_name="plain list"),
        ),
        empty_state(
            "circle-check",
            "Nothing has given up",
            "Writes into calendars, letters and jobs that fail for good appear here with their reason.",
        ),
    )


def _letter(item: rows.LetterItem) -> rx.Component:
    return _line(
        _texts(
            item.title,
            _grey(
                rx.badge(item.kind, variant="soft", color_scheme="gray", high_contrast=True),
                " ",
                item.place,
            ),
            rx.text(item.reason, size="2", color_scheme="red", class_name="wrap-anywhere"),
            _grey(item.advice),
            rx.text(
                item.attempts + " · ",
                ago(instant=item.at, prefix=""),
                size="1",
                color_scheme="gray",
            ),
        ),
        rx.button(
            "Retry",
            variant="soft",
            on_click=AdminState.retry(item.id),
            aria_label="Retry " + item.title,
        ),
    )


# --- channels --------------------------------------------------------------------------------------------------------


def _channels() -> rx.Component:
    return _listed(
        AdminState.channels,
        _channel,
        "radio",
        "No push channel is open",
        "Calendars are read every few minutes instead. Providers push only to a public https address (BASE_URL).",
    )


def _channel(item: rows.ChannelItem) -> rx.Component:
    return _line(
        provider_tile(item.provider),
        _texts(item.calendar, _grey(item.account)),
        rx.match(
            item.state,
            ("open", rx.badge("Open", color_scheme="green", variant="soft", high_contrast=True)),
            ("ending", rx.badge("Renewed soon", color_scheme="blue", variant="soft", high_contrast=True)),
            ("expired", rx.badge("Expired", color_scheme="red", variant="soft", high_contrast=True)),
            rx.badge("Not granted", color_scheme="amber", variant="soft", high_contrast=True),
        ),
        rx.box(
            rx.text("ends ", item.ends, size="1", color_scheme="gray"),
            rx.cond(
                item.last_push != "",
                rx.text(ago(instant=item.last_push, prefix="last push"), size="1", color_scheme="gray"),
                rx.text("no push yet", size="1", color_scheme="gray"),
            ),
        ),
    )


# --- drift -----------------------------------------------------------------------------------------------------------


def _drift() -> rx.Component:
    return rx.fragment(
        rx.flex(
            rx.cond(
                AdminState.drift_checked != "",
                rx.text(
                    ago(instant=AdminState.drift_checked, prefix="Held against the calendars"),
                    size="2",
                    color_scheme="gray",
                ),
                rx.text("Calendars are held against bookings every night.", size="2", color_scheme="gray"),
            ),
            rx.button(
                rx.icon("scan-search", size=14, aria_hidden="true"),
                "Check now",
                variant="soft",
                on_click=AdminState.run_drift,
            ),
            justify="between",
            align="center",
            spacing="3",
            wrap="wrap",
            margin_bottom=space(3),
        ),
        _listed(
            AdminState.drift,
            _deviation,
            "circle-check",
            "Bookings and calendars agree",
            "Events that somebody moved or deleted in a calendar, or that never arrived there, appear here.",
        ),
    )


def _deviation(item: rows.DriftItem) -> rx.Component:
    return _line(
        provider_tile(item.provider),
        _texts(
            item.title,
            rx.text(item.sentence, size="2", class_name="wrap-anywhere"),
            _grey(item.times),
            _grey(item.place, rx.cond(item.reason != "", " · " + item.reason, "")),
        ),
        rx.flex(
            _choice(item.follow, item, "follow", "soft"),
            _choice(item.restore, item, "restore", "soft"),
            rx.cond(
                item.keep,
                rx.button(
                    "Leave as it is",
                    variant="ghost",
                    color_scheme="gray",
                    on_click=AdminState.settle(item.id, "keep"),
                    aria_label="Leave as it is: " + item.title,
                ),
            ),
            spacing="3",
            align="center",
            wrap="wrap",
        ),
    )


def _choice(label: rx.Var[str], item: rows.DriftItem, how: str, variant: str) -> rx.Component:
    return rx.cond(
        label != "",
        rx.button(
            label,
            variant=variant,
            on_click=AdminState.settle(item.id, how),
            aria_label=label + ": " + item.title,
        ),
    )


# --- health and the trail --------------------------------------------------------------------------------------------


def _health() -> rx.Component:
    return rx.el.ul(rx.foreach(AdminState.checks, _check), class_name="plain list")


def _check(item: rows.CheckItem) -> rx.Component:
    return _line(
        _texts(item.name, _grey(item.detail)),
        rx.match(
            item.status,
            ("ok", rx.badge("Works", color_scheme="green", variant="soft", high_contrast=True)),
            ("warning", rx.badge("Look at this", color_scheme="amber", variant="soft", high_contrast=True)),
            rx.badge("Does not work", color_scheme="red", variant="soft", high_contrast=True),
        ),
    )


def _audit() -> rx.Component:
    return rx.fragment(
        _listed(
            AdminState.audit, _entry, "history", "Nothing has happened yet", "Who does what is noted here."
        ),
        rx.cond(
            AdminState.audit_next != "",
            rx.button("Older entries", variant="soft", on_click=AdminState.older, margin_top=space(4)),
        ),
    )


def _entry(item: rows.AuditItem) -> rx.Component:
    return _line(
        _texts(item.what, rx.cond(item.detail != "", _grey(item.detail))),
        rx.text(item.who, size="2", class_name="wrap-anywhere"),
        rx.text(item.when, size="2", color_scheme="gray", class_name="tabular"),
    )
