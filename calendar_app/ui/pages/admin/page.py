"""Seven tabs: connections, jobs and workers, dead letters, channels, drift, health, audit trail."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.badges import provider_tile, status_badge
from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.feedback import empty_state, error_callout, loading
from calendar_app.ui.layout import page
from calendar_app.ui.pages.admin import rows
from calendar_app.ui.pages.admin.parts import bar, grey, line, listed, moment, section, state_badge, texts
from calendar_app.ui.pages.admin.state import AdminState
from calendar_app.ui.theme import space

PATH = "/admin"
_NAMES = (
    ("connections", "Connections"),
    ("jobs", "Jobs & workers"),
    ("letters", "Failed items"),
    ("channels", "Channels"),
    ("drift", "Drift"),
    ("health", "Health"),
    ("audit", "Audit trail"),
)
_CHANNEL = {
    "open": ("Open", "green"),
    "ending": ("Renewed soon", "blue"),
    "expired": ("Expired", "red"),
    "unproven": ("Not believed", "amber"),
}
_HEALTH = {"ok": ("Works", "green"), "warning": ("Look at this", "amber")}


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
        rx.cond(
            AdminState.allowed,
            rx.tabs.root(
                rx.tabs.list(
                    *(rx.tabs.trigger(name, value=key) for key, name in _NAMES),
                    size=rx.breakpoints(initial="1", sm="2"),
                    class_name="tabs-wrap",
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
            empty_state(
                "lock",
                "For managers, admins and owners",
                "How connections, queues and calendars fare is shown to those who look after this workspace.",
            ),
        ),
        path=PATH,
        on_ready=AdminState.load,
        on_change=AdminState.refresh,
        kept=(AdminState,),
        actions=rx.cond(
            AdminState.operator,
            rx.link(
                "Installation", href="/admin/installation", underline="always", size="2", high_contrast=True
            ),
        ),
        lead="What runs, what is late, what failed, and who did what.",
    )


# --- connections -----------------------------------------------------------------------------------------------------


def _connections() -> rx.Component:
    return listed(
        AdminState.connections,
        _connection,
        "plug",
        "Nobody has connected an account",
        "Accounts that people of this workspace connect under Calendars appear here.",
    )


def _connection(item: rows.ConnectionItem) -> rx.Component:
    return line(
        provider_tile(item.provider),
        texts(
            f"{item.title} · {item.account}",
            grey(rx.cond(item.person != "", item.person + " · ", ""), item.facts),
            rx.cond(
                item.error != "",
                rx.text(item.error, size="2", color_scheme="red", class_name="wrap-anywhere"),
            ),
        ),
        rx.flex(
            status_badge(item.status),
            moment(item.last_sync, "read", size="1"),
            direction="column",
            align="end",
            spacing="1",
        ),
    )


# --- jobs and workers ------------------------------------------------------------------------------------------------


def _jobs() -> rx.Component:
    return rx.fragment(
        section("Queues", rx.el.ul(rx.foreach(AdminState.queues, _queue), class_name="plain list")),
        section(
            "Workers",
            listed(
                AdminState.workers,
                _worker,
                "circle-alert",
                "No worker runs",
                "Bookings stand, but nothing reaches calendars. Start the processes of the Procfile.",
            ),
        ),
        section(
            "Scheduled jobs",
            rx.cond(
                AdminState.cron_seen != "",
                rx.text(
                    ago(instant=AdminState.cron_seen, prefix="The scheduler was last seen"),
                    size="2",
                    color_scheme="gray",
                    margin_bottom=space(3),
                ),
                error_callout(rx.Var.create("No cron process runs: scheduled jobs are not started.")),
            ),
            listed(AdminState.ran, _ran, "clock", "Nothing has run yet", "Jobs of the schedule appear here."),
        ),
    )


def _queue(item: rows.QueueItem) -> rx.Component:
    return line(
        texts(item.what, grey(item.name)),
        moment(item.oldest, "first since"),
        rx.text(
            item.counts,
            size="2",
            class_name="tabular",
            color_scheme=rx.cond(item.failed > 0, "red", "gray"),
        ),
    )


def _worker(item: rows.WorkerItem) -> rx.Component:
    return line(
        texts(item.name, grey(item.detail)),
        rx.badge(item.doing, variant="soft", color_scheme="gray", high_contrast=True),
        moment(item.seen, "seen"),
    )


def _ran(item: rows.RanItem) -> rx.Component:
    return line(texts(item.job), moment(item.at, "done"))


# --- dead letters ----------------------------------------------------------------------------------------------------


def _letters() -> rx.Component:
    return rx.cond(
        AdminState.letters.length() > 0,
        rx.fragment(
            bar(
                rx.text(
                    "What failed for good, and why. Bookings stand in any case.",
                    size="2",
                    color_scheme="gray",
                ),
                "rotate-cw",
                "Retry all",
                AdminState.retry_all,
            ),
            rx.el.ul(rx.foreach(AdminState.letters, _letter), class_name="plain list"),
        ),
        empty_state(
            "circle-check",
            "Nothing has failed",
            "Calendar writes, emails and jobs that fail for good appear here with their reason.",
        ),
    )


def _letter(item: rows.LetterItem) -> rx.Component:
    return line(
        texts(
            item.title,
            grey(
                rx.badge(item.kind, variant="soft", color_scheme="gray", high_contrast=True),
                " ",
                item.place,
            ),
            rx.text(item.reason, size="2", color_scheme="red", class_name="wrap-anywhere"),
            grey(item.advice),
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
    return listed(
        AdminState.channels,
        _channel,
        "radio",
        "No push channel is open",
        "Calendars are read every few minutes instead. Providers push only to a public https address (BASE_URL).",
    )


def _channel(item: rows.ChannelItem) -> rx.Component:
    return line(
        provider_tile(item.provider),
        texts(
            item.calendar,
            grey(item.account),
            rx.cond(
                item.reason != "",
                rx.text(
                    item.reason,
                    " The calendar is read every few minutes instead.",
                    size="2",
                    class_name="wrap-anywhere",
                ),
            ),
        ),
        state_badge(item.state, _CHANNEL, ("Not granted", "amber")),
        rx.cond(
            item.ends != "",
            rx.box(
                rx.text("ends ", item.ends, size="1", color_scheme="gray"),
                moment(item.last_push, "last push", otherwise="no push yet", size="1"),
            ),
        ),
    )


# --- drift -----------------------------------------------------------------------------------------------------------


def _drift() -> rx.Component:
    return rx.fragment(
        bar(
            moment(
                AdminState.drift_checked,
                "Compared with the calendars",
                otherwise="Bookings are compared with the calendars every night.",
            ),
            "scan-search",
            "Check now",
            AdminState.run_drift,
        ),
        rx.cond(
            AdminState.unread.length() > 0,
            rx.callout.root(
                rx.callout.icon(rx.icon("eye-off", size=16, aria_hidden="true")),
                rx.callout.text("Of these accounts the report does not know everything."),
                rx.el.ul(rx.foreach(AdminState.unread, _unread), class_name="plain"),
                color_scheme="amber",
                margin_bottom=space(4),
                high_contrast=True,
            ),
        ),
        listed(
            AdminState.drift,
            _deviation,
            "circle-check",
            rx.cond(
                AdminState.unread.length() > 0,
                "Nothing else was found",
                "Bookings and calendars agree",
            ),
            "Events that somebody moved or deleted in a calendar, or that never arrived there, appear here.",
        ),
    )


def _unread(item: rows.UnreadItem) -> rx.Component:
    return rx.el.li(
        rx.text(item.account, size="2", weight="medium", class_name="wrap-anywhere"),
        rx.text(item.sentence, size="2", class_name="wrap-anywhere"),
    )


def _deviation(item: rows.DriftItem) -> rx.Component:
    return line(
        provider_tile(item.provider),
        texts(
            item.title,
            rx.text(item.sentence, size="2", class_name="wrap-anywhere"),
            grey(item.times),
            grey(item.place, rx.cond(item.reason != "", " · " + item.reason, "")),
        ),
        rx.flex(
            _choice(item.follow, item, "follow", "soft"),
            _choice(item.restore, item, "restore", "soft"),
            _choice(item.take_in, item, "take_in", "soft"),
            rx.cond(item.remove != "", _removal(item)),
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


def _removal(item: rows.DriftItem) -> rx.Component:
    """The button that deletes an event at its provider, and the question before."""
    return rx.alert_dialog.root(
        rx.alert_dialog.trigger(
            rx.button(
                item.remove, variant="outline", color_scheme="red", aria_label=item.remove + ": " + item.title
            )
        ),
        rx.alert_dialog.content(
            rx.alert_dialog.title("Remove this event?"),
            rx.alert_dialog.description(
                "“" + item.title + "” " + item.times + " is deleted from the calendar (" + item.place + "). "
                "This cannot be undone here.",
                size="2",
                class_name="wrap-anywhere",
            ),
            rx.flex(
                rx.alert_dialog.cancel(rx.button("Keep it", variant="soft", color_scheme="gray")),
                rx.alert_dialog.action(
                    rx.button(
                        "Remove the event",
                        color_scheme="red",
                        high_contrast=True,
                        on_click=AdminState.settle(item.id, "remove"),
                    )
                ),
                spacing="3",
                justify="end",
                margin_top=space(4),
            ),
            max_width="28rem",
        ),
    )


# --- health and the trail --------------------------------------------------------------------------------------------


def _health() -> rx.Component:
    return rx.el.ul(rx.foreach(AdminState.checks, _check), class_name="plain list")


def _check(item: rows.CheckItem) -> rx.Component:
    return line(
        texts(item.name, grey(item.detail)),
        state_badge(item.status, _HEALTH, ("Does not work", "red")),
    )


def _audit() -> rx.Component:
    return rx.fragment(
        listed(
            AdminState.audit, _entry, "history", "Nothing has happened yet", "Who does what is noted here."
        ),
        rx.cond(
            AdminState.audit_next != "",
            rx.button("Older entries", variant="soft", on_click=AdminState.older, margin_top=space(4)),
        ),
    )


def _entry(item: rows.AuditItem) -> rx.Component:
    return line(
        texts(item.what, rx.cond(item.detail != "", grey(item.detail))),
        rx.text(item.who, size="2", class_name="wrap-anywhere"),
        rx.text(item.when, size="2", color_scheme="gray", class_name="tabular"),
    )
