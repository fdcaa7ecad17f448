"""Colours of bookings by name, so that a booking looks the same on our pages and in everybody's calendar.

Every name is both a CSS colour keyword, which RFC 7986 §5.9 demands of an iCalendar COLOR, and a Radix Themes scale,
which the pages use. Google's event colours are a fixed palette of eleven ids; each name stands for the nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from zlib import crc32


class Color(StrEnum):
    """Provider-neutral colour names: what ``EventDraft.color`` and ``booking.color`` hold."""

    TOMATO = "tomato"
    PINK = "pink"
    ORANGE = "orange"
    YELLOW = "yellow"
    TEAL = "teal"
    GREEN = "green"
    CYAN = "cyan"
    BLUE = "blue"
    VIOLET = "violet"
    PURPLE = "purple"
    GRAY = "gray"


class Priority(StrEnum):
    """How pressing a booking is; high and urgent show in its colour."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


CATEGORY_COLORS: Mapping[str, Color] = MappingProxyType(
    {
        "work": Color.BLUE,
        "meeting": Color.CYAN,
        "consultation": Color.TEAL,
        "personal": Color.VIOLET,
        "health": Color.GREEN,
        "education": Color.YELLOW,
        "social": Color.PINK,
        "travel": Color.PURPLE,
        "other": Color.GRAY,
    }
)

PRIORITY_COLORS: Mapping[Priority, Color] = MappingProxyType(
    {Priority.HIGH: Color.ORANGE, Priority.URGENT: Color.TOMATO}
)

GOOGLE_COLOR_IDS: Mapping[Color, str] = MappingProxyType(
    {
        Color.VIOLET: "1",  # Lavender
        Color.TEAL: "2",  # Sage
        Color.PURPLE: "3",  # Grape
        Color.PINK: "4",  # Flamingo
        Color.YELLOW: "5",  # Banana
        Color.ORANGE: "6",  # Tangerine
        Color.CYAN: "7",  # Peacock
        Color.GRAY: "8",  # Graphite
        Color.BLUE: "9",  # Blueberry
        Color.GREEN: "10",  # Basil
        Color.TOMATO: "11",  # Tomato
    }
)
"""Google Calendar API v3, ``Event.colorId`` (the ``event`` part of ``colors.get``)."""

COLORS_BY_GOOGLE_ID: Mapping[str, Color] = MappingProxyType({v: k for k, v in GOOGLE_COLOR_IDS.items()})


def parse_color(name: str) -> Color | None:
    """The colour of that name, in any case; ``None`` for one that is unknown or empty."""
    try:
        return Color(name.strip().lower())
    except ValueError:
        return None


def category_color(category: str) -> Color | None:
    """A category's colour, ``None`` for no category; a made-up one always gets the same of the palette."""
    key = category.strip().casefold()
    if not key:
        return None
    return CATEGORY_COLORS.get(key) or tuple(Color)[crc32(key.encode("utf-8", "replace")) % len(Color)]


def booking_color(
    chosen: str = "", category: str = "", priority: Priority = Priority.NORMAL, default: Color = Color.BLUE
) -> Color:
    """The colour of a booking: a high or urgent priority wins over one that was chosen, that over the category's."""
    return PRIORITY_COLORS.get(priority) or parse_color(chosen) or category_color(category) or default
