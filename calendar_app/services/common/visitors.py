"""Browsers of customers who are not signed in, told apart by a signed cookie that says nothing about them.

Limits count a known browser by itself, so that an office behind one address can book as one person at home can. Whoever
throws the cookie away is counted by their address, more strictly, and an address gets only so many new ones.
"""

from __future__ import annotations

import hashlib
import secrets

from itsdangerous import BadData, URLSafeTimedSerializer

from calendar_app.errors import TooManyRequests
from calendar_app.services.common import rate_limits
from calendar_app.settings import get_settings

COOKIE = "almanac_visitor"
LIFE_SECONDS = 30 * 86_400
NEW = "300 per 10 minutes"
"""How many new browsers of one address are told apart."""
_LONGEST = 200


def issue(client: str) -> str:
    """A cookie for a browser behind the address ``client``; empty if that has had too many."""
    try:
        rate_limits.check("new-visitors", client, NEW)
    except TooManyRequests:
        return ""
    return str(_serializer().dumps(secrets.token_hex(8)))


def known(cookie: str) -> str:
    """What to count a browser under; empty for one that is not known."""
    try:
        found = _serializer().loads(cookie, max_age=LIFE_SECONDS) if 0 < len(cookie) <= _LONGEST else ""
    except BadData:
        return ""
    return f"visitor {found}" if isinstance(found, str) and found else ""


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        get_settings().secret_key.get_secret_value(),
        salt="almanac.visitor",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
