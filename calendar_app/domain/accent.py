"""A business's colour on its booking pages: the shades of it that can be read, in light and in dark.

One colour is chosen; the shades for backgrounds, borders and texts are mixed from it. Contrast is that of WCAG 2.2: at
least 4.5:1 between texts and what is behind them (1.4.3), at least 3:1 between a button and the page (1.4.11). Where
the colour itself would be too faint on a page, the nearest shade that is not stands for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from calendar_app.errors import InvalidInput

TEXT, SHAPE = 4.5, 3.0
_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})", re.ASCII)
_WHITE, _BLACK = (255.0, 255.0, 255.0), (0.0, 0.0, 0.0)
_LIGHT_PAGE, _DARK_PAGE = (255.0, 255.0, 255.0), (24.0, 25.0, 27.0)
_LIGHT_MIX = {2: 0.97, 3: 0.92, 4: 0.87, 6: 0.7, 7: 0.6, 8: 0.45}
_DARK_MIX = {2: 0.92, 3: 0.82, 4: 0.75, 6: 0.58, 7: 0.48, 8: 0.35}
_STEPS = 50

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Shades:
    """``steps``: number of a shade -> ``#rrggbb``, as in :file:`site.css`; ``contrast``: texts on shade 9."""

    steps: dict[int, str]
    contrast: str


def parse_accent(given: object) -> str:
    """``#rrggbb`` in lower case, or empty for the pages' own colour. :raises InvalidInput: it is no colour."""
    if given in ("", None):
        return ""
    match = _HEX.fullmatch(given.strip()) if isinstance(given, str) else None
    if match is None:
        raise InvalidInput("A colour is written like #5b5bd6.", field="accent")
    digits = match[1].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


@lru_cache(maxsize=256)
def shades(accent: str, *, dark: bool) -> Shades:
    """The shades of ``#rrggbb`` on light or on dark pages."""
    page, away = (_DARK_PAGE, _WHITE) if dark else (_LIGHT_PAGE, _BLACK)
    solid = _readable(_rgb(accent), (page,), away, SHAPE)
    mixed = {step: _mix(solid, page, part) for step, part in (_DARK_MIX if dark else _LIGHT_MIX).items()}
    text = _readable(solid, (page, mixed[2], mixed[3], mixed[4]), away, TEXT)
    on_solid = max((_WHITE, _BLACK), key=lambda color: contrast(color, solid))
    hover = _mix(solid, _BLACK if on_solid == _WHITE else _WHITE, 0.1)
    steps = mixed | {9: solid, 10: hover, 11: text}
    return Shades({step: _hex(color) for step, color in sorted(steps.items())}, _hex(on_solid))


def stylesheet(accent: str) -> str:
    """CSS that puts the shades in the place of the pages' own."""
    light, dark = (_variables(shades(accent, dark=is_dark)) for is_dark in (False, True))
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def notes(accent: str) -> list[str]:
    """What to know about the colour before it is used: where it would be too faint as it is, and what is done."""
    found = []
    for dark, page, place, change in (
        (False, _LIGHT_PAGE, "light pages", "a darker"),
        (True, _DARK_PAGE, "dark pages", "a lighter"),
    ):
        ratio = contrast(_rgb(accent), page) if accent else SHAPE
        if ratio < SHAPE:
            used = shades(accent, dark=dark).steps[9]
            found.append(
                f"On {place} this colour would hardly show (contrast {ratio:.1f}:1, at least 3:1 is needed), "
                f"so {change} shade, {used}, is used there."
            )
    return found


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _readable(color: Rgb, behind: tuple[Rgb, ...], away: Rgb, least: float) -> Rgb:
    """The shade nearest to ``color`` on the way to ``away`` that stands out from everything ``behind`` it."""
    for step in range(_STEPS + 1):
        found = _rounded(_mix(color, away, step / _STEPS))
        if all(contrast(found, other) >= least for other in behind):
            return found
    return away


def _luminance(color: Rgb) -> float:
    parts = [part / 255 for part in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _mix(color: Rgb, other: Rgb, part: float) -> Rgb:
    red, green, blue = (own + (their - own) * part for own, their in zip(color, other, strict=True))
    return _rounded((red, green, blue))


def _rounded(color: Rgb) -> Rgb:
    red, green, blue = (float(round(part)) for part in color)
    return red, green, blue


def _rgb(accent: str) -> Rgb:
    red, green, blue = (float(int(accent[at : at + 2], 16)) for at in (1, 3, 5))
    return red, green, blue


def _hex(color: Rgb) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in color)


def _variables(found: Shades) -> str:
    steps = "".join(f"--accent-{step}:{color};" for step, color in found.steps.items())
    return f"{steps}--accent-contrast:{found.contrast}"
