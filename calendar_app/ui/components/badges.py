"""Small signs: which provider, which state."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui.theme import STATUS_COLORS

_LABELS = {
    "connected": ("Connected", "circle-check"),
    "syncing": ("Syncing", "refresh-cw"),
    "error": ("Error", "circle-alert"),
    "needs_reconnect": ("Needs reconnecting", "unplug"),
    "disconnected": ("Disconnected", "unplug"),
    "not_configured": ("Not configured", "settings-2"),
    "draft": ("Draft", "pencil"),
    "confirmed": ("Confirmed", "circle-check"),
    "pending": ("Waiting for approval", "hourglass"),
    "declined": ("Declined", "circle-x"),
    "cancelled": ("Cancelled", "circle-x"),
    "completed": ("Completed", "check-check"),
    "no_show": ("No-show", "user-x"),
    "queued": ("Queued", "hourglass"),
    "written": ("Written", "check"),
    "verified": ("Verified", "check-check"),
    "failed": ("Failed", "circle-alert"),
    "removed": ("Removed", "trash-2"),
}
_ICONS = ("google", "microsoft", "caldav", "calendly", "ics", "file")


def status_badge(status: rx.Var[str]) -> rx.Component:
    """A state of a connection, booking or calendar write: icon and word, and its colour."""
    return rx.match(
        status,
        *(
            (
                key,
                rx.badge(
                    rx.icon(icon, size=12, aria_hidden="true"),
                    label,
                    color_scheme=STATUS_COLORS[key],
                    variant="soft",
                    high_contrast=True,
                ),
            )
            for key, (label, icon) in _LABELS.items()
        ),
        rx.badge(status, color_scheme="gray"),
    )


def provider_icon(provider: rx.Var[str]) -> rx.Component:
    """The provider's sign; decorative, its name always stands beside it or in a tooltip's text."""
    source = rx.match(
        provider, *((key, f"/providers/{key}.svg") for key in _ICONS), "/providers/calendar.svg"
    )
    return rx.el.img(src=source, alt="", class_name="provider-icon", aria_hidden="true")


def provider_tile(provider: rx.Var[str]) -> rx.Component:
    """The provider's sign on a tile, for cards."""
    return rx.el.span(provider_icon(provider), class_name="provider-tile")


def color_dot(color: rx.Var[str]) -> rx.Component:
    """A calendar's colour as its owner chose it at the provider."""
    return rx.el.span(class_name="dot", style={"background": color}, aria_hidden="true")
