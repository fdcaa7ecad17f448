"""The forms of the page: one for each provider, and one for the mail server."""

from __future__ import annotations

from typing import Any

import reflex as rx

from calendar_app.ui.components.badges import provider_tile
from calendar_app.ui.components.feedback import callout, error_callout
from calendar_app.ui.components.forms import confirm, field, text_input, unbound
from calendar_app.ui.pages.admin.parts import grey, state_badge
from calendar_app.ui.pages.installation.state import InstallationState, ProviderRow
from calendar_app.ui.theme import space

_STATES = {
    "environment": ("Set by the environment", "blue"),
    "entered": ("Entered here", "green"),
}
_KEEP = "Leave it empty to keep the one that is there."


def provider(item: ProviderRow) -> rx.Component:
    """A provider: what to do there, and what to enter."""
    return rx.el.li(
        rx.flex(
            provider_tile(item.key),
            rx.heading(item.title, as_="h3", size="3", flex_grow="1"),
            state_badge(item.state, _STATES, ("Not set up", "gray")),
            align="center",
            spacing="3",
            wrap="wrap",
        ),
        rx.el.details(
            rx.el.summary(rx.text("What to do at ", item.title, as_="span", size="2")),
            rx.el.ol(
                rx.foreach(item.steps, lambda step: rx.el.li(rx.text(step, size="2"))),
                style={"paddingInlineStart": space(5), "listStyle": "decimal"},
            ),
        ),
        _redirect(item),
        rx.cond(
            item.fixed,
            grey(
                "The environment of this installation has the client id and secret, and wins: change them there. "
                "Client id: ",
                item.client_id,
            ),
            _credentials(item),
        ),
        rx.cond(item.key == "google", _testing(item)),
        error_callout(item.error),
        _answer(item.answer, item.level),
        rx.cond(
            item.has_secret,
            rx.flex(
                rx.button(
                    "Test",
                    variant="soft",
                    on_click=InstallationState.test_provider(item.key),
                    aria_label="Test " + item.title,
                ),
                rx.cond(~item.fixed, _removal(item)),
                spacing="3",
            ),
        ),
        class_name="row",
        style={"display": "grid", "gap": space(3), "minWidth": "0"},
    )


def _redirect(item: ProviderRow) -> rx.Component:
    return rx.box(
        rx.text("Redirect URI, to the letter", size="2", weight="medium"),
        rx.flex(
            rx.code(item.redirect_uri, size="2", class_name="wrap-anywhere"),
            rx.button(
                rx.icon("copy", size=14, aria_hidden="true"),
                "Copy",
                variant="ghost",
                on_click=rx.set_clipboard(item.redirect_uri),
                aria_label="Copy the redirect URI of " + item.title,
            ),
            align="center",
            spacing="3",
            wrap="wrap",
        ),
    )


def _credentials(item: ProviderRow) -> rx.Component:
    """Ids carry the provider's key: the form stands in the page once for each."""
    return rx.form(
        rx.el.input(type="hidden", name="provider", value=item.key),
        rx.flex(
            field(
                "Client ID",
                text_input(
                    item.key + "-client-id",
                    name="client_id",
                    default_value=item.client_id,
                    key=item.key + item.client_id,
                    required=True,
                    auto_complete="off",
                ),
                for_=item.key + "-client-id",
            ),
            _secret(item, "client_secret", "Client secret", item.has_secret),
            rx.cond(
                item.key == "calendly",
                _secret(item, "webhook_key", "Webhook signing key", item.has_webhook_key),
            ),
            rx.cond(
                item.key == "microsoft",
                field(
                    "Tenant",
                    text_input(
                        unbound("microsoft-tenant"),
                        name="tenant",
                        default_value=item.tenant,
                        auto_complete="off",
                    ),
                    for_=unbound("microsoft-tenant"),
                    hint="“common” for every organization and personal accounts, else the id of your directory.",
                ),
            ),
            rx.box(rx.button("Save and test", type="submit", aria_label="Save and test " + item.title)),
            direction="column",
            spacing="4",
        ),
        on_submit=InstallationState.save_provider,
        reset_on_submit=False,
    )


def _secret(item: ProviderRow, name: str, label: str, there: rx.Var[bool]) -> rx.Component:
    id_ = item.key + f"-{name}"
    return rx.flex(
        rx.el.label(label, html_for=id_, class_name="rt-Text rt-r-size-2 rt-r-weight-medium"),
        text_input(
            id_,
            name=name,
            type="password",
            auto_complete="new-password",
            key=id_ + InstallationState.saves.to_string(),
        ),
        rx.cond(there, rx.text(_KEEP, size="1", color_scheme="gray")),
        direction="column",
        spacing="1",
        width="100%",
    )


def _testing(item: ProviderRow) -> rx.Component:
    return rx.flex(
        rx.switch(
            checked=item.in_testing,
            disabled=item.testing_fixed,
            on_change=InstallationState.set_testing,
            aria_labelledby="google-testing",
        ),
        rx.box(
            rx.text("The project is in testing", size="2", weight="medium", id="google-testing"),
            grey(
                "Google then ends every grant after seven days. People are told a day before, so that they can connect "
                "again in time. Publish the app under Audience to end this."
            ),
        ),
        spacing="3",
        align="start",
    )


def _removal(item: ProviderRow) -> rx.Component:
    return confirm(
        rx.button("Remove", variant="outline", color_scheme="red", aria_label="Remove " + item.title),
        title="Remove these credentials?",
        text="Accounts of "
        + item.title
        + " stay listed, but cannot be read until credentials are entered again.",
        action="Remove",
        on_confirm=InstallationState.remove_provider(item.key),
    )


def _answer(text: Any, level: Any) -> rx.Component:
    return rx.cond(
        text != "",
        rx.match(
            level,
            ("ok", callout(text, "circle-check", "green")),
            ("warning", callout(text, "triangle-alert", "amber")),
            callout(text, "circle-alert", "red", role="alert"),
        ),
    )


def address() -> rx.Component:
    """Where people reach the installation."""
    state = InstallationState
    return rx.flex(
        rx.cond(
            state.address_fixed,
            grey("BASE_URL in the environment of this installation wins: ", state.address),
            rx.form(
                rx.flex(
                    field(
                        "Address",
                        text_input(
                            "public-address",
                            default_value=state.address,
                            key=state.address,
                            required=True,
                            input_mode="url",
                            auto_complete="off",
                        ),
                        for_="public-address",
                        hint="Links in e-mails lead here, and providers send people back here.",
                    ),
                    rx.box(rx.button("Save", type="submit", aria_label="Save the address")),
                    direction="column",
                    spacing="4",
                ),
                on_submit=state.save_address,
                reset_on_submit=False,
            ),
        ),
        error_callout(state.address_error),
        direction="column",
        spacing="4",
        max_width="36rem",
    )


def mail() -> rx.Component:
    """The mail server in its parts, and a test."""
    return rx.flex(
        rx.cond(
            InstallationState.mail_fixed,
            grey(
                "SMTP_URL in the environment of this installation wins: change it there. Server: ",
                InstallationState.host,
                ", sender: ",
                InstallationState.sender,
            ),
            _mail_form(),
        ),
        error_callout(InstallationState.mail_error),
        _answer(InstallationState.mail_answer, InstallationState.mail_level),
        rx.cond(
            InstallationState.mail_configured,
            rx.flex(
                rx.button("Send a test to me", variant="soft", on_click=InstallationState.send_test),
                rx.cond(
                    ~InstallationState.mail_fixed,
                    confirm(
                        rx.button(
                            "Remove",
                            variant="outline",
                            color_scheme="red",
                            aria_label="Remove the mail server",
                        ),
                        title="Remove the mail server?",
                        text="E-mails wait until one is entered again.",
                        action="Remove",
                        on_confirm=InstallationState.remove_mail,
                    ),
                ),
                spacing="3",
            ),
        ),
        direction="column",
        spacing="4",
        max_width="36rem",
    )


def _mail_form() -> rx.Component:
    state = InstallationState
    return rx.form(
        rx.flex(
            field(
                "Host",
                text_input("mail-host", default_value=state.host, key=state.host, required=True),
                for_="mail-host",
            ),
            rx.flex(
                field(
                    "Encryption",
                    rx.el.select(
                        rx.el.option("STARTTLS (usually port 587)", value="smtp+starttls"),
                        rx.el.option("TLS from the start (usually port 465)", value="smtps"),
                        rx.el.option("None (this machine only)", value="smtp"),
                        id="mail-encryption",
                        name="mail-encryption",
                        default_value=state.encryption,
                        key=state.encryption,
                        class_name="select",
                    ),
                    for_="mail-encryption",
                ),
                field(
                    "Port",
                    text_input("mail-port", default_value=state.port, key=state.port, input_mode="numeric"),
                    for_="mail-port",
                ),
                spacing="4",
                direction=rx.breakpoints(initial="column", sm="row"),
            ),
            field(
                "User",
                text_input("mail-user", default_value=state.user, key=state.user, auto_complete="off"),
                for_="mail-user",
            ),
            field(
                "Password",
                text_input(
                    "mail-password",
                    type="password",
                    auto_complete="new-password",
                    key=state.saves.to_string(),
                ),
                for_="mail-password",
                hint="Kept encrypted. With the same host and user, an empty one keeps the password that is there.",
            ),
            field(
                "Sender",
                text_input("mail-sender", default_value=state.sender, key=state.sender, required=True),
                for_="mail-sender",
                hint="Like: Our Company <mail@example.com>, with an address of a domain that the server may send for.",
            ),
            rx.box(rx.button("Save", type="submit", aria_label="Save the mail server")),
            direction="column",
            spacing="4",
        ),
        on_submit=state.save_mail,
        reset_on_submit=False,
    )
