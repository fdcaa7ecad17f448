"""What opens a CalDAV account again: kept encrypted with its connection."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import httpx
import orjson

from calendar_app.errors import AuthExpired

BASIC, DIGEST = "basic", "digest"


@dataclass(frozen=True, slots=True)
class Secret:
    """``principal`` is the account's own address (RFC 5397), ``scheme`` how the server wants the password (RFC 7617,
    RFC 7616), ``email`` the owner's addresses, one a line, by which their answers to invitations are told."""

    principal: str
    username: str
    password: str
    scheme: str = BASIC
    email: str = ""

    @property
    def owners(self) -> tuple[str, ...]:
        """The owner's addresses as calendars may name them (RFC 6638 §2.4.1)."""
        return tuple(self.email.split("\n")) if self.email else ()

    def __repr__(self) -> str:
        return f"Secret(principal={self.principal!r}, username={self.username!r})"

    def dump(self) -> str:
        """The secret as text; :meth:`load` reads it again."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def load(cls, text: str) -> Secret:
        """:raises AuthExpired: the text is no such secret."""
        try:
            return cls(**orjson.loads(text))
        except (ValueError, TypeError):
            raise AuthExpired("The password of this account is not known any more.") from None

    def auth(self) -> httpx.Auth:
        """How each request proves who we are."""
        if self.scheme == DIGEST:
            return httpx.DigestAuth(self.username, self.password)
        return httpx.BasicAuth(self.username, self.password)
