"""Opaque identifiers.

26 characters of Crockford's base 32 in lower case: 48 bits of milliseconds, then 80 random bits (the ULID layout), so
that rows made together lie together in an index and nobody can guess a neighbour's id.
"""

from __future__ import annotations

import hashlib
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id() -> str:
    """A fresh id, sortable by creation time to the millisecond."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def derived_id(*parts: str) -> str:
    """The same id for the same parts, for rows that a repeated request must find again; who does not know the parts
    cannot guess it."""
    number = int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:16])
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
