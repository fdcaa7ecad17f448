"""Four sections: what the doctor finds, the public address, providers' credentials, and the mail server."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.components.feedback import empty_state, loading
from calendar_app.ui.layout import page
from calendar_app.ui.pages.admin.parts import grey, line, section, state_badge, texts
from calendar_app.ui.pages.installation.forms import address, mail, provider
from calendar_app.ui.pages.installation.state import FindingRow, InstallationState
from calendar_app.ui.theme import space

PATH = "/admin/installation"
_LEVELS = {"ok": ("OK", "green"), "warning": ("Look at this", "amber")}


def installation() -> rx.Component:
    return page(
        "Installation",
        rx.cond(
            InstallationState.loaded,
            rx.cond(
                InstallationState.operator,
                rx.fragment(
                    section("How it is", _findings()),
                    section("Where people find you", address()),
                    section(
                        "Calendar providers",
                        rx.el.ul(
                            rx.foreach(InstallationState.providers, provider),
                            class_name="plain list",
                        ),
                    ),
                    section("E-mail", mail()),
                ),
                empty_state(
                    "lock",
                    "For operators",
                    "What concerns the whole installation is shown to whom OPERATORS names, and to who set it up.",
                ),
            ),
            loading(),
        ),
        path="/admin",
        on_ready=InstallationState.load,
        actions=rx.link("Operations", href="/admin", underline="always", size="2"),
        lead="How the installation is, and what is entered for all of it.",
    )


def _findings() -> rx.Component:
    return rx.fragment(
        rx.flex(
            rx.cond(
                InstallationState.examining,
                rx.text("Looking at everything …", size="2", color_scheme="gray", role="status"),
                rx.cond(
                    InstallationState.troubles > 0,
                    rx.text("To look at: ", InstallationState.troubles, size="2", role="status"),
                    rx.text("All is well.", size="2", role="status"),
                ),
            ),
            rx.button(
                "Look again",
                variant="soft",
                loading=InstallationState.examining,
                on_click=InstallationState.examine,
            ),
            justify="between",
            align="center",
            spacing="3",
            wrap="wrap",
            margin_bottom=space(3),
        ),
        rx.cond(
            InstallationState.examined,
            rx.el.ul(rx.foreach(InstallationState.findings, _finding), class_name="plain list"),
            loading(),
        ),
    )


def _finding(item: FindingRow) -> rx.Component:
    return line(
        texts(
            item.name,
            grey(item.detail),
            rx.cond(item.advice != "", rx.text(item.advice, size="2", class_name="wrap-anywhere")),
        ),
        state_badge(item.level, _LEVELS, ("Does not work", "red")),
    )
