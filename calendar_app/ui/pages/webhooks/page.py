"""How the page of webhooks looks."""

from __future__ import annotations

import reflex as rx

from calendar_app.domain.webhook import SUBSCRIBABLE
from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.feedback import callout, empty_state, error_callout, loading, warning_callout
from calendar_app.ui.components.forms import confirm, field, text_input
from calendar_app.ui.components.secret_form import secret_form
from calendar_app.ui.layout import page
from calendar_app.ui.pages.webhooks.state import DeliveryRow, WebhookRow, WebhooksState
from calendar_app.ui.session import SessionState
from calendar_app.ui.theme import space

PATH = "/settings/webhooks"
_API = "/api/v1/webhooks"
_STATES = {
    "active": ("Active", "green"),
    "paused": ("Paused", "gray"),
    "ended": ("Ended by the receiver", "red"),
    "disabled": ("Switched off", "red"),
}
_DELIVERIES = {
    "waiting": ("Waiting", "amber"),
    "delivered": ("Delivered", "green"),
    "failed": ("Given up", "red"),
    "dropped": ("Not sent", "gray"),
}
_VIEWS = {
    "": "All",
    "waiting": "Waiting",
    "delivered": "Delivered",
    "failed": "Given up",
    "dropped": "Not sent",
}
_IN_WORDS = {
    "booking.created": "A booking is made, or asked for",
    "booking.confirmed": "A request is approved",
    "booking.declined": "A request is declined",
    "booking.rescheduled": "A booking is moved",
    "booking.cancelled": "A booking is cancelled",
    "booking.no_show": "The customer did not come",
    "booking.completed": "A booking is over",
    "order.confirmed": "An order is confirmed",
    "order.cancelled": "An order is cancelled",
    "calendar_write.verified": "A booking stands in a calendar",
    "calendar_write.failed": "Writing to a calendar was given up",
    "connection.needs_reconnect": "An account has to be reconnected",
    "connection.restored": "An account is connected again",
}


def webhooks() -> rx.Component:
    return page(
        "Webhooks",
        rx.cond(
            WebhooksState.loaded,
            rx.cond(
                WebhooksState.allowed,
                rx.flex(
                    error_callout(WebhooksState.error),
                    _list(),
                    _form(),
                    _bodies(),
                    direction="column",
                    spacing="6",
                ),
                callout("Webhooks are for managers, admins and owners.", "lock", "gray"),
            ),
            loading(),
        ),
        path=PATH,
        on_ready=WebhooksState.load,
        on_change=WebhooksState.refresh,
        lead="Other programs are told what happens here, as it happens.",
        narrow=True,
    )


def _badge(state: rx.Var[str], names: dict[str, tuple[str, str]]) -> rx.Component:
    return rx.match(
        state,
        *(
            (key, rx.badge(words, color_scheme=color, variant="soft", high_contrast=True))
            for key, (words, color) in names.items()
        ),
        rx.badge(state, color_scheme="gray"),
    )


def _list() -> rx.Component:
    return rx.cond(
        WebhooksState.rows.length() > 0,
        rx.el.ul(rx.foreach(WebhooksState.rows, _webhook), class_name="plain list", aria_label="Webhooks"),
        empty_state(
            "webhook",
            "No webhooks yet",
            "Give the address of a program below, and it is told of each booking and each change.",
        ),
    )


def _webhook(row: WebhookRow) -> rx.Component:
    is_chosen = WebhooksState.chosen == row.id
    return rx.el.li(
        rx.flex(
            rx.box(
                rx.text(row.url, size="2", weight="medium", class_name="wrap-anywhere"),
                rx.cond(row.description != "", rx.text(row.description, size="2", color_scheme="gray")),
                rx.text(
                    rx.cond(
                        row.taken != "", ago(instant=row.taken, prefix="last taken"), "nothing taken yet"
                    ),
                    rx.cond(row.waiting != "", " · " + row.waiting, ""),
                    size="1",
                    color_scheme="gray",
                ),
                flex="1 1 14rem",
                min_width="0",
            ),
            _badge(row.state, _STATES),
            rx.button(
                rx.cond(is_chosen, "Hide", "Show"),
                variant="soft",
                color_scheme="gray",
                high_contrast=True,
                custom_attrs={"aria-expanded": is_chosen},
                aria_label=rx.cond(is_chosen, "Hide ", "Show ") + row.url,
                on_click=WebhooksState.choose(row.id),
            ),
            align="center",
            spacing="3",
            wrap="wrap",
            width="100%",
        ),
        rx.cond(is_chosen, _details(row)),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _details(row: WebhookRow) -> rx.Component:
    return rx.flex(
        rx.cond(row.trouble != "", warning_callout(row.trouble)),
        rx.text("Told of: " + row.events, size="1", color_scheme="gray", class_name="wrap-anywhere"),
        rx.flex(
            rx.button("Send a test", on_click=WebhooksState.send_test(row.id)),
            rx.cond(
                row.state == "active",
                rx.button(
                    "Pause",
                    variant="soft",
                    color_scheme="gray",
                    high_contrast=True,
                    on_click=WebhooksState.set_state(row.id, "paused"),
                ),
                rx.button("Switch on", variant="soft", on_click=WebhooksState.set_state(row.id, "active")),
            ),
            confirm(
                rx.button("Delete", variant="soft", color_scheme="red", high_contrast=True),
                title="Delete this webhook?",
                text="Nothing more is sent to " + row.url + ", and what was sent is forgotten.",
                action="Delete",
                on_confirm=WebhooksState.delete(row.id),
            ),
            spacing="3",
            wrap="wrap",
        ),
        secret_form(
            rx.flex(
                rx.button(
                    "Make a new secret",
                    type="submit",
                    variant="soft",
                    color_scheme="gray",
                    high_contrast=True,
                ),
                rx.text(
                    "For a day, messages are signed with the old one, too.", size="1", color_scheme="gray"
                ),
                align="center",
                spacing="3",
                wrap="wrap",
            ),
            path=f"{_API}/" + row.id + "/secret",
            workspace=SessionState.workspace_slug,
            on_made=WebhooksState.refresh,
        ),
        _deliveries(),
        direction="column",
        spacing="4",
        width="100%",
        margin_top=space(3),
    )


def _deliveries() -> rx.Component:
    return rx.el.section(
        rx.flex(
            rx.heading("Deliveries", as_="h2", size="3"),
            rx.el.select(
                *(rx.el.option(words, value=key) for key, words in _VIEWS.items()),
                value=WebhooksState.view,
                on_change=WebhooksState.set_view,
                class_name="select",
                aria_label="Which deliveries",
            ),
            justify="between",
            align="center",
            margin_bottom=space(2),
        ),
        rx.cond(
            WebhooksState.found.length() > 0,
            rx.el.ul(
                rx.foreach(WebhooksState.found, _delivery), class_name="plain list", aria_label="Deliveries"
            ),
            rx.text("None.", size="2", color_scheme="gray"),
        ),
        rx.cond(
            WebhooksState.more,
            rx.button(
                "Show older ones",
                variant="soft",
                color_scheme="gray",
                high_contrast=True,
                margin_top=space(3),
                on_click=WebhooksState.show_more,
            ),
        ),
        _replay_since(),
    )


def _delivery(row: DeliveryRow) -> rx.Component:
    return rx.el.li(
        rx.box(
            rx.text(row.event, size="2", weight="medium", class_name="wrap-anywhere"),
            rx.text(
                ago(instant=row.made, prefix=""),
                rx.cond(row.answer != "", " · " + row.answer, ""),
                rx.cond(row.tries != "", " · " + row.tries, ""),
                rx.cond(row.next_try != "", rx.fragment(" · ", ago(instant=row.next_try, prefix="next try"))),
                size="1",
                color_scheme="gray",
                class_name="wrap-anywhere",
            ),
            flex="1 1 12rem",
            min_width="0",
        ),
        _badge(row.state, _DELIVERIES),
        rx.button(
            "Open",
            variant="ghost",
            color_scheme="gray",
            high_contrast=True,
            aria_label="Open " + row.event + " of " + row.subject,
            on_click=WebhooksState.open(row.id),
        ),
        class_name="row",
        style={"flexWrap": "wrap"},
    )


def _replay_since() -> rx.Component:
    return rx.el.form(
        rx.flex(
            rx.box(
                field(
                    "Send everything again since",
                    text_input("since", type="datetime-local", required=True),
                    for_="since",
                ),
                max_width="16rem",
            ),
            rx.button("Send again", type="submit", variant="soft", size="3"),
            spacing="3",
            align="end",
            wrap="wrap",
            margin_top=space(4),
        ),
        on_submit=WebhooksState.replay_since,
    )


def _body(title: str, text: rx.Var[str], otherwise: str) -> rx.Component:
    return rx.box(
        rx.heading(title, as_="h2", size="2", margin_bottom=space(1)),
        rx.cond(
            text != "",
            rx.el.pre(text, class_name="body", tab_index=0, aria_label=title),
            rx.text(otherwise, size="2", color_scheme="gray"),
        ),
    )


def _bodies() -> rx.Component:
    opened = WebhooksState.opened
    return rx.dialog.root(
        rx.dialog.content(
            rx.dialog.title(opened.title),
            rx.dialog.description(opened.result, size="2", class_name="wrap-anywhere"),
            rx.flex(
                rx.text("webhook-id: " + opened.message_id, size="1", color_scheme="gray"),
                _body("Sent", opened.payload, "Nothing"),
                _body("Answered", opened.answer, "Nothing"),
                rx.flex(
                    rx.dialog.close(
                        rx.button("Close", variant="soft", color_scheme="gray", high_contrast=True)
                    ),
                    rx.button("Send again", on_click=WebhooksState.replay(opened.id)),
                    justify="end",
                    spacing="3",
                ),
                direction="column",
                spacing="3",
                margin_top=space(3),
            ),
            max_width="44rem",
        ),
        open=opened.id != "",
        on_open_change=WebhooksState.close,
    )


def _form() -> rx.Component:
    return rx.el.section(
        rx.heading("Add a webhook", as_="h2", size="4", margin_bottom=space(3)),
        secret_form(
            rx.flex(
                field(
                    "Address",
                    text_input("url", type="url", required=True, max_length=2_000, placeholder="https://"),
                    for_="url",
                    hint="With https, on the public internet. Messages are signed by Standard Webhooks.",
                ),
                field("What it is", text_input("description", max_length=200), for_="description"),
                rx.el.fieldset(
                    rx.el.legend("Told when", class_name="rt-Text rt-r-size-2 rt-r-weight-medium"),
                    rx.grid(
                        *(
                            rx.text(
                                rx.flex(
                                    rx.el.input(
                                        type="checkbox", name="events", value=one.value, default_checked=True
                                    ),
                                    _IN_WORDS[one.value],
                                    spacing="2",
                                    align="start",
                                ),
                                as_="label",
                                size="2",
                            )
                            for one in SUBSCRIBABLE
                        ),
                        columns=rx.breakpoints(initial="1", sm="2"),
                        spacing="2",
                        margin_top=space(2),
                    ),
                    class_name="plain-fieldset",
                ),
                rx.box(rx.button("Add webhook", type="submit", size="3")),
                direction="column",
                spacing="4",
            ),
            path=_API,
            workspace=SessionState.workspace_slug,
            on_made=WebhooksState.refresh,
        ),
    )
