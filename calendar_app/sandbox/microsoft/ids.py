"""The ids that Graph shows: opaque, long, and different with ``Prefer: IdType="ImmutableId"``.

Source: https://learn.microsoft.com/graph/outlook-immutable-id. Both forms of an event's id are accepted everywhere; the
header decides which one is answered. Calendars have one form only.
"""

from __future__ import annotations

import binascii
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from calendar_app.sandbox.microsoft.error import malformed_id

_PLAIN = "AAMkAGVmMDEzMTM4LTZmYWUtNDdkNC1hMDZiLTU1OGY5OTZhYmY4OABG"
_IMMUTABLE = "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A"


def new_id() -> str:
    """An event's or calendar's own id, as the store keeps it."""
    return secrets.token_hex(10)


def shown(own: str, immutable: bool = False) -> str:
    """What Graph calls it."""
    return (_IMMUTABLE if immutable else _PLAIN) + urlsafe_b64encode(own.encode()).decode()


def own(shown_id: str) -> str:
    """The stored id behind either form.

    :raises GraphError: 400 for what is neither.
    """
    for prefix in (_PLAIN, _IMMUTABLE):
        if shown_id.startswith(prefix):
            try:
                return urlsafe_b64decode(shown_id.removeprefix(prefix)).decode("ascii")
            except (ValueError, binascii.Error) as error:
                raise malformed_id() from error
    raise malformed_id()
