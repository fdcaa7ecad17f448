"""What somebody typed into a form that was refused, to be filled in again: encrypted, as it goes through an address."""

from __future__ import annotations

from cryptography.fernet import InvalidToken

from calendar_app.db.types import cipher

LIFE_SECONDS = 600
_LONGEST = 320


def keep(text: str) -> str:
    """A token for a query string; nothing for what is too long for an e-mail address."""
    return cipher().encrypt(text.encode()).decode() if len(text) <= _LONGEST else ""


def read(token: str) -> str:
    """The text of a token; nothing for one that is forged or older than ten minutes."""
    try:
        return cipher().decrypt(token[:2000], ttl=LIFE_SECONDS).decode()
    except (InvalidToken, ValueError):
        return ""
