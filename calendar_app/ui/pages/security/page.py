"""The page: the password, second factors, where one is signed in, API tokens."""

from __future__ import annotations

import reflex as rx

from calendar_app.services.accounts import passwords, second_factor
from calendar_app.ui.components.browser import ago
from calendar_app.ui.components.feedback import callout, empty_state, error_callout, loading
from calendar_app.ui.components.forms import confirm, field, text_input
from calendar_app.ui.components.passkeys import remove_factor, second_factor_forms
from calendar_app.ui.components.secret_form import token_form
from calendar_app.ui.layout import page
from calendar_app.ui.pages.security.rows import BrowserRow, FactorRow, TokenRow
from calendar_app.ui.pages.security.state import PATH, SecurityState
from calendar_app.ui.theme import space

SCOPES = {
    "read": "Read: look at calendars and bookings",
    "write": "Read and write: also change them",
    "*": "Everything, also tokens and the password",
}
LIVES = {"30": "30 days", "90": "90 days", "365": "a year", "": "No end"}


def account_security() -> rx.Component:
    return page(
        "Security",
        rx.cond(
            SecurityState.loaded,
            rx.flex(_password(), _second_factors(), _browsers(), _tokens(), direction="column", spacing="7"),
            loading(),
        ),
        path=PATH,
        on_ready=SecurityState.load,
        lead="How you sign in, where you are signed in, and what programs may do in your name.",
        narrow=True,
    )


def _heading(title: str, text: str, *actions: rx.Component) -> rx.Component:
    return rx.flex(
        rx.box(
            rx.heading(title, as_="h2", size="4"),
            rx.text(text, size="2", color_scheme="gray", margin_top=space(1)),
        ),
        *actions,
        justify="between",
        align="center",
        spacing="3",
        wrap="wrap",
        margin_bottom=space(3),
    )


def _browsers() -> rx.Component:
    return rx.el.section(
        _heading(
            "Signed-in browsers",
            "Sign out what you do not recognise, then change your password.",
            rx.cond(
                SecurityState.browsers.length() > 1,
                confirm(
                    rx.button("Sign out all others", variant="soft", color_scheme="red", high_contrast=True),
                    title="Sign out everywhere else?",
                    text="Every other browser has to sign in again. This one stays.",
                    action="Sign out all others",
                    on_confirm=SecurityState.sign_out_others,
                ),
            ),
        ),
        rx.el.ul(rx.foreach(SecurityState.browsers, _browser_row), class_name="plain list"),
    )


def _browser_row(row: BrowserRow) -> rx.Component:
    return rx.el.li(
        rx.icon("monitor", size=18, aria_hidden="true"),
        rx.box(
            rx.text(row.name, size="2", weight="medium", class_name="wrap-anywhere"),
            rx.text(
                ago(instant=row.seen, prefix="last seen"),
                " · ",
                ago(instant=row.since, prefix="signed in"),
                size="1",
                color_scheme="gray",
            ),
            flex_grow="1",
            min_width="0",
        ),
        rx.cond(
            row.current,
            rx.badge("This browser", color_scheme="green", variant="soft", high_contrast=True),
            rx.button(
                "Sign out",
                variant="soft",
                color_scheme="gray",
                high_contrast=True,
                on_click=SecurityState.sign_out(row.id),
                aria_label="Sign out " + row.name,
            ),
        ),
        class_name="row",
    )


def _second_factors() -> rx.Component:
    return rx.el.section(
        _heading(
            "Second factor",
            "Besides the password: a code of an app on your phone, or a passkey, which also signs you in without the "
            "password. Whoever learns your password cannot sign in then.",
        ),
        rx.cond(
            SecurityState.factors.length() > 0,
            rx.box(
                rx.el.ul(rx.foreach(SecurityState.factors, _factor_row), class_name="plain list"),
                rx.cond(
                    SecurityState.codes_left < 3,
                    rx.callout(
                        "You have "
                        + SecurityState.codes_left.to_string()
                        + " recovery codes left: make new ones.",
                        icon="triangle-alert",
                        color_scheme="amber",
                        high_contrast=True,
                        size="1",
                        margin_top=space(3),
                    ),
                ),
                margin_bottom=space(4),
            ),
        ),
        second_factor_forms(has_factors=SecurityState.factors.length() > 0, on_changed=SecurityState.refresh),
    )


def _factor_row(row: FactorRow) -> rx.Component:
    return rx.el.li(
        rx.cond(
            row.kind == second_factor.PASSKEY_KIND,
            rx.icon("fingerprint", size=18, aria_hidden="true"),
            rx.icon("smartphone", size=18, aria_hidden="true"),
        ),
        rx.box(
            rx.text(row.name, size="2", weight="medium", class_name="wrap-anywhere"),
            rx.text(
                rx.cond(row.used != "", ago(instant=row.used, prefix="last used"), "not used yet"),
                " · ",
                ago(instant=row.added, prefix="added"),
                size="1",
                color_scheme="gray",
            ),
            flex_grow="1",
            min_width="0",
        ),
        remove_factor(factor=row.id, label=row.name, on_changed=SecurityState.refresh),
        class_name="row",
    )


def _tokens() -> rx.Component:
    return rx.el.section(
        _heading("API tokens", "For scripts and other systems; each may do only what it was made for."),
        rx.cond(
            SecurityState.tokens.length() > 0,
            rx.el.ul(rx.foreach(SecurityState.tokens, _token_row), class_name="plain list"),
            empty_state("key-round", "No tokens yet", "Make one when a program needs to work in your name."),
        ),
        rx.box(_token_form(), margin_top=space(4)),
    )


def _token_row(row: TokenRow) -> rx.Component:
    return rx.el.li(
        rx.icon("key-round", size=18, aria_hidden="true"),
        rx.box(
            rx.text(row.name, size="2", weight="medium", class_name="wrap-anywhere"),
            rx.text(
                row.scopes,
                " · ",
                rx.cond(row.used != "", ago(instant=row.used, prefix="last used"), "never used"),
                " · ",
                rx.cond(row.ends != "", "ends " + row.ends, "no end"),
                size="1",
                color_scheme="gray",
            ),
            flex_grow="1",
            min_width="0",
        ),
        confirm(
            rx.button(
                "Revoke",
                variant="soft",
                color_scheme="gray",
                high_contrast=True,
                aria_label="Revoke " + row.name,
            ),
            title="Revoke this token?",
            text=row.name + " stops working at once, and cannot be brought back.",
            action="Revoke",
            on_confirm=SecurityState.revoke(row.id),
        ),
        class_name="row",
    )


def _select(id_: str, options: dict[str, str], default: str) -> rx.Component:
    return rx.el.select(
        *(rx.el.option(label, value=value) for value, label in options.items()),
        id=id_,
        name=id_,
        default_value=default,
        class_name="select",
    )


def _token_form() -> rx.Component:
    return token_form(
        rx.flex(
            rx.box(
                field(
                    "Name",
                    rx.input(id="token_name", name="token_name", required=True, max_length=100, size="2"),
                    for_="token_name",
                ),
                flex_grow="1",
                min_width="12rem",
            ),
            field_select("Access", _select("scope", SCOPES, "read"), "scope"),
            field_select("Expires after", _select("days", LIVES, "90"), "days"),
            rx.button("Make a token", type="submit", size="2"),
            spacing="3",
            align="end",
            wrap="wrap",
        ),
        on_made=SecurityState.refresh,
    )


def field_select(label: str, control: rx.Component, for_: str) -> rx.Component:
    """A labelled select beside other fields."""
    return rx.box(field(label, control, for_=for_), max_width="100%")


def _password() -> rx.Component:
    return rx.el.section(
        _heading(
            "Password",
            "A new password signs every other browser out, and ends API tokens that may do everything.",
        ),
        rx.el.form(
            rx.flex(
                field(
                    "Current password",
                    text_input("present", type="password", auto_complete="current-password", required=True),
                    for_="present",
                ),
                field(
                    "New password",
                    text_input(
                        "new",
                        type="password",
                        auto_complete="new-password",
                        required=True,
                        min_length=passwords.SHORTEST,
                    ),
                    for_="new",
                    hint=f"At least {passwords.SHORTEST} characters.",
                ),
                rx.cond(
                    SecurityState.tokens.length() > 0,
                    rx.text(
                        rx.flex(
                            rx.el.input(type="checkbox", name="end_tokens", value="true"),
                            "End all my API tokens as well. Otherwise those that may only read, or read and write, "
                            "go on working.",
                            spacing="2",
                            align="start",
                        ),
                        as_="label",
                        size="2",
                    ),
                ),
                error_callout(SecurityState.password_error),
                rx.cond(
                    SecurityState.password_done != "",
                    callout(SecurityState.password_done, "circle-check", "green"),
                ),
                rx.box(rx.button("Change password", type="submit", size="3")),
                direction="column",
                spacing="4",
                max_width="26rem",
            ),
            on_submit=SecurityState.change_password,
            reset_on_submit=True,
        ),
    )
