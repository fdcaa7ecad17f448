"""Logos: images of strangers, of which only the pixels are kept.

A file is decoded and written again as a small PNG, so that whatever else it holds (scripts, places where photos were
taken, broken chunks that attack a decoder) reaches nobody. SVG is refused: it can hold scripts and load from elsewhere.
The size stands in a file's first bytes and is checked before anything is decoded: a few kilobytes can claim a picture
of gigabytes.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from dataclasses import dataclass

from PIL import Image, ImageOps

from calendar_app.errors import InvalidInput

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 900_000
MAX_PIXELS = 16_000_000
WIDTH, HEIGHT = 480, 144
"""The largest size that is kept: twice of what pages show, for fine screens."""
_COLORS_ABOVE = 24_000
"""Bytes above which a logo is reduced to 256 colours."""
_NAME = re.compile(r"[0-9a-f]{24}-(\d{1,3})x(\d{1,3})\.png", re.ASCII)
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Logo:
    """A PNG; ``name`` changes with its content and tells its size: ``<digest>-<width>x<height>.png``."""

    name: str
    content: bytes


def encode(content: bytes) -> Logo:
    """The logo out of a file. :raises InvalidInput: too large, or no PNG, JPEG or WebP."""
    if len(content) > MAX_BYTES:
        raise _refused(f"This file is too large: a logo takes at most {MAX_BYTES // 1000} KB.")
    if not content:
        raise _refused("This file is empty.")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as found:
            if found.width * found.height > MAX_PIXELS:
                raise _refused("This picture is too large: at most 16 million pixels.")
            made = ImageOps.exif_transpose(found).convert("RGBA")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _refused("This picture is too large: at most 16 million pixels.") from None
    except _BROKEN:
        raise _refused("This is no picture that can be read: take a PNG, JPEG or WebP file.") from None
    made.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    written = _png(made)
    if len(written) > _COLORS_ABOVE:
        written = _png(made.quantize(256, method=Image.Quantize.FASTOCTREE))
    digest = hashlib.sha256(written).hexdigest()[:24]
    return Logo(f"{digest}-{made.width}x{made.height}.png", written)


def size_of(name: str) -> tuple[int, int]:
    """Width and height in pixels, as a logo's name tells them; zeros for none."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _png(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def _refused(sentence: str) -> InvalidInput:
    return InvalidInput(sentence, field="logo", code="logo_refused")
