"""Who allowed what: consents, authorization codes, access tokens, and refresh tokens that work once.

Rules: https://developer.calendly.com/how-to-access-calendly-data-on-behalf-of-authenticated-users (codes live ten
minutes, access tokens two hours) and https://developer.calendly.com/refresh-token-rotation-guide (a refresh token ends
with its first use). Codes and tokens are stored as digests only.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from calendar_app.sandbox.pkce import proves
from calendar_app.sandbox.store import Store, digest

CODE_LIFE_MS = 600_000
ACCESS_TOKEN_LIFE_S = 7200


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """What an authorization code stands for."""

    account: str
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str
    challenge_method: str

    def proves(self, verifier: str) -> bool:
        """RFC 7636 §4.6; true as well where no challenge was sent: Calendly does not demand one of web applications."""
        return proves(verifier, self.challenge, self.challenge_method)


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """The account (its uuid) and the scopes behind a token; times in epoch seconds, ``expires`` of access tokens."""

    account: str
    scopes: tuple[str, ...]
    issued: int = 0
    expires: int | None = None


class Grants:
    """Use of the consent, code and token tables."""

    def __init__(self, store: Store, access_token_life: int = ACCESS_TOKEN_LIFE_S) -> None:
        self.store, self.access_token_life = store, access_token_life

    def consent(self, account: str) -> tuple[str, ...]:
        """The scopes that the account's owner has allowed; none before any consent."""
        row = self.store.db.execute("SELECT scopes FROM consent WHERE account = ?", (account,)).fetchone()
        return tuple(row["scopes"].split()) if row else ()

    def allow(self, grant: CodeGrant) -> str:
        """Records the consent and gives a single-use code."""
        code = secrets.token_hex(32)
        now = self.store.now_ms()
        scopes = " ".join(grant.scopes)
        with self.store.writing():
            self.store.db.execute("DELETE FROM code WHERE expires <= ?", (now,))
            self.store.db.execute("INSERT OR REPLACE INTO consent VALUES (?, ?)", (grant.account, scopes))
            self.store.db.execute(
                "INSERT INTO code VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    digest(code),
                    grant.account,
                    scopes,
                    grant.redirect_uri,
                    grant.challenge,
                    grant.challenge_method,
                    now + CODE_LIFE_MS,
                ),
            )
        return code

    def redeem(self, code: str) -> CodeGrant | None:
        """The code's grant, once; ``None`` where it is unknown, used or expired."""
        row = self._take("code", code)
        if row is None or row["expires"] <= self.store.now_ms():
            return None
        fields = {name: row[name] for name in ("account", "redirect_uri", "challenge", "challenge_method")}
        return CodeGrant(scopes=tuple(row["scopes"].split()), **fields)

    def rotate(self, refresh_token: str) -> TokenGrant | None:
        """The grant of a refresh token, which ends with this; ``None`` where it is unknown or used."""
        row = self._take("token", refresh_token, "AND kind = 'refresh'")
        return TokenGrant(row["account"], tuple(row["scopes"].split())) if row else None

    def issue(self, kind: str, grant: TokenGrant) -> str:
        """A new ``access`` or ``refresh`` token."""
        now = self.store.now_ms()
        token = f"sandbox-{kind}-{secrets.token_urlsafe(48)}"
        expires = now + self.access_token_life * 1000 if kind == "access" else None
        with self.store.writing():
            self.store.db.execute("DELETE FROM token WHERE expires <= ?", (now - 86_400_000,))
            self.store.db.execute(
                "INSERT INTO token VALUES (?, ?, ?, ?, ?, ?)",
                (digest(token), kind, grant.account, " ".join(grant.scopes), now, expires),
            )
        return token

    def find(self, token: str, kind: str = "") -> TokenGrant | None:
        """The token's grant; ``None`` where it is unknown, used, revoked or expired."""
        row = self.store.db.execute(
            "SELECT * FROM token WHERE digest = ? AND (? = '' OR kind = ?)", (digest(token), kind, kind)
        ).fetchone()
        if row is None or (row["expires"] is not None and row["expires"] <= self.store.now_ms()):
            return None
        expires = None if row["expires"] is None else row["expires"] // 1000
        return TokenGrant(row["account"], tuple(row["scopes"].split()), row["issued"] // 1000, expires)

    def withdraw(self, account: str) -> None:
        """Ends the account's consent with its tokens and webhooks."""
        with self.store.writing():
            for table in ("consent", "code", "token", "webhook"):
                self.store.db.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608

    def expire_access_tokens(self, account: str | None = None) -> None:
        """Makes every access token answer 401; of one account, or of all."""
        with self.store.writing():
            self.store.db.execute(
                "UPDATE token SET expires = 0 WHERE kind = 'access' AND account = coalesce(?, account)",
                (account,),
            )

    def _take(self, table: str, secret: str, more: str = "") -> dict[str, Any] | None:
        with self.store.writing():
            row = self.store.db.execute(
                f"DELETE FROM {table} WHERE digest = ? {more} RETURNING *",  # noqa: S608
                (digest(secret),),
            ).fetchone()
        return dict(row) if row else None
