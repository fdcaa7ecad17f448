"""Links by which a customer who has no account manages one booking, or one order: unguessable, and worth nothing for
any other.

A token is the id with an HMAC-SHA256 over it (256 bits), keyed by ``SECRET_KEY`` and a salt of its own, so that a
signature made for another purpose does not pass here. It is not stored anywhere; what it may still do depends on the
state of the booking or order, which is checked at each use.
"""

from __future__ import annotations

import hashlib

from itsdangerous import BadData, URLSafeSerializer

from calendar_app.errors import NotFound
from calendar_app.settings import current_settings, get_settings

_LONGEST = 200
_UNKNOWN = "This link does not lead to a booking. Use the link from your confirmation."
_BOOKING, _ORDER = "almanac.manage-booking", "almanac.manage-order"
_HOLD = "almanac.hold-page"
_PRIVATE = "almanac.private-link"


def _serializer(salt: str) -> URLSafeSerializer:
    return URLSafeSerializer(
        get_settings().secret_key.get_secret_value(),
        salt=salt,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def token(booking_id: str) -> str:
    """The URL-safe token of a booking; always the same for the same booking and key."""
    return str(_serializer(_BOOKING).dumps(booking_id))


def order_token(order_id: str) -> str:
    """As :func:`token`, of an order; it does not open the order's bookings."""
    return str(_serializer(_ORDER).dumps(order_id))


def hold_token(hold_row_id: str) -> str:
    """As :func:`token`, of the page on which a hold is booked: it neither drops the hold nor opens its booking."""
    return str(_serializer(_HOLD).dumps(hold_row_id))


def private_link_token(link_id: str) -> str:
    """As :func:`token`, of a private link to an event type."""
    return str(_serializer(_PRIVATE).dumps(link_id))


def private_link_id(token: str) -> str:
    """The private link that a token was made for. :raises NotFound: as :func:`booking_id`."""
    return _opened(token, _PRIVATE)


def url(booking_id: str) -> str:
    """The absolute address of the customer's page for a booking."""
    return f"{current_settings().public_url}/manage/{token(booking_id)}"


def booking_id(token: str) -> str:
    """The booking that a token was made for. :raises NotFound: forged, cut short or made with another key."""
    return _opened(token, _BOOKING)


def order_id(token: str) -> str:
    """The order that a token was made for. :raises NotFound: as :func:`booking_id`."""
    return _opened(token, _ORDER)


def hold_row_id(token: str) -> str:
    """The hold that a token was made for. :raises NotFound: as :func:`booking_id`."""
    return _opened(token, _HOLD)


def _opened(token: str, salt: str) -> str:
    try:
        value = _serializer(salt).loads(token) if len(token) <= _LONGEST else None
    except BadData:
        value = None
    if not isinstance(value, str):
        raise unknown()
    return value


def unknown() -> NotFound:
    """The one answer to every link that leads nowhere, so that it tells nothing of which bookings exist."""
    return NotFound(_UNKNOWN)
