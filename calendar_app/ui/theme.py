"""The one place for accent, greys, radius and scaling; pages use Radix tokens and hold no colour or pixel literals.

What Radix has no component for is shaped in ``assets/almanac.css``, out of the same tokens.
"""

from __future__ import annotations

import reflex as rx


def themed(*content: rx.Component) -> rx.Component:
    """``content`` in our theme."""
    return rx.theme(
        *content,
        appearance="inherit",
        accent_color="iris",
        gray_color="slate",
        radius="medium",
        panel_background="solid",
    )


THEME = themed()

STYLESHEETS = ("/almanac.css",)


def space(step: int) -> str:
    """A step of the spacing scale, 1 (least) to 9, for any style that takes a length."""
    return f"var(--space-{step})"


STATUS_COLORS = {
    "connected": "green",
    "syncing": "blue",
    "error": "red",
    "needs_reconnect": "amber",
    "disconnected": "gray",
    "not_configured": "gray",
    "draft": "gray",
    "confirmed": "green",
    "pending": "amber",
    "declined": "gray",
    "cancelled": "gray",
    "completed": "blue",
    "no_show": "amber",
    "queued": "blue",
    "written": "blue",
    "verified": "green",
    "failed": "red",
    "removed": "gray",
}
"""Accent of each state that a badge shows; its words stand beside it, so colour is never the only sign."""
