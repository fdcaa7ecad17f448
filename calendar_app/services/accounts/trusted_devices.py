"""Browsers that have signed in to an account before, and so are not locked out of it by strangers who guess.

Failed sign-ins are counted for each account, or guesses could come from everywhere; but then anybody could keep its
owner out by guessing wrong. So a browser that signs in gets a signed cookie (OWASP, "Slow down online guessing attacks
with device cookies"): later it has tries of its own. The cookie proves nothing else, and is worth nothing for any
other account.
"""

from __future__ import annotations

import hashlib
import secrets

from itsdangerous import BadData, URLSafeTimedSerializer

from calendar_app.settings import get_settings

COOKIE = "almanac_device"
LIFE_SECONDS = 400 * 86_400
"""Browsers keep no cookie longer."""
_LONGEST = 300


def issue(email: str) -> str:
    """A cookie for a browser that has just signed in with ``email``, in its normal form."""
    return str(_serializer().dumps([_mark(email), secrets.token_hex(8)]))


def known(cookie: str, email: str) -> str | None:
    """What to count this browser's tries at ``email`` under; ``None``: it has never signed in there."""
    try:
        mark, browser = (
            _serializer().loads(cookie, max_age=LIFE_SECONDS) if len(cookie) <= _LONGEST else ("", "")
        )
    except (BadData, TypeError, ValueError):
        return None
    return f"{mark}{browser}" if mark == _mark(email) else None


def _mark(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()[:32]


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        get_settings().secret_key.get_secret_value(),
        salt="almanac.device",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
