"""Image files as people upload them, and as attackers do."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def png(width: int = 96, height: int = 32, color: str = "teal") -> bytes:
    """A plain PNG."""
    return picture("PNG", Image.new("RGBA", (width, height), color))


def picture(kind: str, image: Image.Image, **options: Any) -> bytes:
    """An image as a file of a format that Pillow knows."""
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims so many pixels, and holds as much as it is worth decoding."""
    data = zlib.compress(b"\0" * 100_000)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def text_bomb(size: int = 80_000_000) -> bytes:
    """A PNG with a compressed text that unpacks to ``size`` bytes."""
    whole = png()
    text = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"A" * size, 9))
    return whole[:33] + text + whole[33:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
