"""Colours that tell calendars apart: the owner's own where they differ enough, else one of a palette. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

PALETTE = (
    "#3e63dd",  # indigo
    "#12a594",  # teal
    "#e5484d",  # red
    "#8e4ec6",  # purple
    "#f76b15",  # orange
    "#30a46c",  # green
    "#d6409f",  # pink
    "#0090ff",  # blue
    "#ad7f58",  # bronze
    "#978365",  # gold
    "#00a2c7",  # cyan
    "#8d8d8d",  # gray
)
"""Step 9 of Radix colour scales, neighbours far apart; the pages adjust their lightness to the appearance."""
ALIKE = 70
"""Colours of sRGB less far from each other than this look like one."""
_HEX = re.compile(r"#[0-9a-f]{6}", re.I)


def distinct_colors(wanted: Iterable[str]) -> Iterator[str]:
    """A colour (``#rrggbb``) for each wanted one (that, or anything for none), as it is or unlike those before it.

    Once the palette is used up its colours come again.
    """
    taken: list[str] = []
    for number, own in enumerate(wanted):
        others = [one for one in PALETTE if not _is_like_any(one, taken)] or [PALETTE[number % len(PALETTE)]]
        is_free = bool(_HEX.fullmatch(own)) and not _is_like_any(own, taken)
        taken.append(own if is_free else others[0])
        yield taken[-1]


def _is_like_any(color: str, others: Iterable[str]) -> bool:
    return any(
        sum((one - two) ** 2 for one, two in zip(_rgb(color), _rgb(other), strict=True)) < ALIKE**2
        for other in others
    )


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
