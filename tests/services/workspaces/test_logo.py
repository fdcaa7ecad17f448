"""Logos are made anew from pixels; what is no small picture is refused before it is decoded."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from calendar_app.errors import InvalidInput
from calendar_app.services.workspaces import logo
from tests.support import pictures


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_are_written_anew(kind: str) -> None:
    """Three formats are taken; what is kept is a PNG of the size that its name tells, small enough for a page."""
    image = Image.effect_mandelbrot((1600, 600), (-2, -1.5, 1, 1.5), 100).convert("RGB")
    made = logo.encode(pictures.picture(kind, image))
    with Image.open(io.BytesIO(made.content)) as kept:
        assert kept.format == "PNG"
        assert kept.size == logo.size_of(made.name) == (384, 144)
    assert len(made.content) < 60_000


def test_nothing_but_pixels_is_kept() -> None:
    """The place where a photo was taken, comments and appended scripts are gone; a turned photo stands upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "SECRET PLACE"
    photo = pictures.picture("JPEG", Image.new("RGB", (60, 30), "teal"), exif=exif, comment=b"SECRET NOTE")
    made = logo.encode(photo + b"<script>alert('SECRET')</script>")
    assert b"SECRET" not in made.content
    assert logo.size_of(made.name) == (30, 60)


def test_transparency_stays() -> None:
    """A logo without a background has none on the page either."""
    made = logo.encode(pictures.picture("PNG", Image.new("RGBA", (40, 20), (10, 20, 30, 0))))
    with Image.open(io.BytesIO(made.content)) as kept:
        assert kept.convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"no picture at all", "no picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "no picture"),
        (pictures.picture("GIF", Image.new("P", (10, 10))), "no picture"),
        (pictures.picture("BMP", Image.new("RGB", (10, 10))), "no picture"),
        (pictures.png()[:60], "no picture"),
        (pictures.bomb(5_000, 4_000), "16 million"),
        (pictures.bomb(12_000, 12_000), "16 million"),
        (pictures.bomb(60_000, 60_000), "16 million"),
        (pictures.bomb(100, 100)[:40], "no picture"),
        (pictures.text_bomb(), "no picture"),
        (pictures.png() + b"\0" * 900_000, "too large"),
    ],
    ids=[
        "empty",
        "text",
        "svg",
        "gif",
        "bmp",
        "cut",
        "large",
        "warned",
        "bomb",
        "header",
        "text-bomb",
        "bytes",
    ],
)
def test_what_is_no_logo_is_refused(content: bytes, words: str) -> None:
    """One sentence says why; nothing is decoded that is too large."""
    with pytest.raises(InvalidInput, match=words) as refused:
        logo.encode(content)
    assert (refused.value.field, refused.value.code) == ("logo", "logo_refused")
