"""Who allowed what: consents, authorization codes, access and refresh tokens.

Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow, .../refresh-tokens. Codes and
tokens are stored as digests only. As with Entra, each refresh brings a new refresh token and leaves the older one alive
for the rest of its 90 days; that of a provider which ends it at once is the Calendly stand-in's.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from calendar_app.sandbox.pkce import proves
from calendar_app.sandbox.store import Store, digest

CODE_LIFE_MS = 600_000
ACCESS_TOKEN_LIFE_S = 3600
REFRESH_TOKEN_LIFE_MS = 90 * 86_400_000


@dataclass(frozen=True, slots=True)
class Grant:
    """The mailbox, tenant and scopes behind a code or token."""

    mailbox: str
    tenant: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """What an authorization code stands for; ``used`` and ``expired`` codes are told apart, as Entra does."""

    grant: Grant
    redirect_uri: str
    challenge: str
    nonce: str
    used: bool
    expired: bool

    def proves(self, verifier: str) -> bool:
        """RFC 7636 §4.6, S256."""
        return proves(verifier, self.challenge)


class Grants:
    """Use of the consent, code and token tables. ``on_withdrawn`` hears of a mailbox whose grant ended."""

    def __init__(self, store: Store, access_token_life: int = ACCESS_TOKEN_LIFE_S) -> None:
        self.store, self.access_token_life = store, access_token_life
        self.on_withdrawn: Callable[[str], object] = lambda _mailbox: None

    def consent(self, mailbox: str) -> frozenset[str]:
        """The scopes that the mailbox's owner allowed; empty where there is no consent."""
        row = self.store.db.execute("SELECT scopes FROM consent WHERE mailbox = ?", (mailbox,)).fetchone()
        return frozenset(row["scopes"].split()) if row else frozenset()

    def consent_for(self, organization: str, scopes: tuple[str, ...]) -> None:
        """An administrator allows the scopes for everybody of ``*@domain``."""
        given = self.consent(organization) | set(scopes)
        with self.store.writing():
            self.store.db.execute(
                "INSERT OR REPLACE INTO consent VALUES (?, ?)", (organization, " ".join(sorted(given)))
            )

    def allow(self, grant: Grant, redirect_uri: str, challenge: str, nonce: str) -> str:
        """Records the consent and gives a single-use code."""
        scopes = self.consent(grant.mailbox) | set(grant.scopes)
        code = f"1.AX0A{secrets.token_urlsafe(64)}"
        now = self.store.now_ms()
        with self.store.writing():
            self.store.db.execute("DELETE FROM code WHERE expires <= ?", (now - 86_400_000,))
            self.store.db.execute(
                "INSERT OR REPLACE INTO consent VALUES (?, ?)", (grant.mailbox, " ".join(sorted(scopes)))
            )
            self.store.db.execute(
                "INSERT INTO code VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    digest(code),
                    grant.mailbox,
                    grant.tenant,
                    " ".join(grant.scopes),
                    redirect_uri,
                    challenge,
                    nonce,
                    now + CODE_LIFE_MS,
                ),
            )
        return code

    def redeem(self, code: str) -> CodeGrant | None:
        """Uses up a code; ``None`` for an unknown one."""
        with self.store.writing():
            row = self.store.db.execute("SELECT * FROM code WHERE digest = ?", (digest(code),)).fetchone()
            self.store.db.execute("UPDATE code SET used = 1 WHERE digest = ?", (digest(code),))
        if row is None:
            return None
        grant = _grant(row)
        expired = row["expires"] <= self.store.now_ms()
        return CodeGrant(
            grant, row["redirect_uri"], row["challenge"], row["nonce"], bool(row["used"]), expired
        )

    def issue(self, kind: str, grant: Grant) -> str:
        """A new ``access`` or ``refresh`` token. Access tokens look like nothing in particular: they are opaque."""
        now = self.store.now_ms()
        life = self.access_token_life * 1000 if kind == "access" else REFRESH_TOKEN_LIFE_MS
        token = f"{'EwB' if kind == 'access' else '1.AX0A'}{secrets.token_urlsafe(96)}"
        with self.store.writing():
            self.store.db.execute("DELETE FROM token WHERE expires <= ?", (now - 86_400_000,))
            self.store.db.execute(
                "INSERT INTO token (digest, kind, mailbox, tenant, scopes, expires) VALUES (?, ?, ?, ?, ?, ?)",
                (digest(token), kind, grant.mailbox, grant.tenant, " ".join(grant.scopes), now + life),
            )
        return token

    def find(self, token: str) -> Grant | None:
        """The grant of an access token; ``None`` where it is unknown, withdrawn or expired."""
        row = self._row("access", token)
        return _grant(row) if row is not None and row["expires"] > self.store.now_ms() else None

    def ends_at(self, token: str) -> int:
        """When an access token ends, in milliseconds since the epoch; 0 for an unknown one."""
        row = self._row("access", token)
        return int(row["expires"]) if row is not None else 0

    def refreshed(self, token: str) -> Grant | str:
        """The grant of a refresh token; or why it cannot be used: ``unknown`` or ``expired``."""
        row = self._row("refresh", token)
        if row is None:
            return "unknown"
        return _grant(row) if row["expires"] > self.store.now_ms() else "expired"

    def withdraw(self, mailbox: str) -> None:
        """Ends the mailbox's consent with all its tokens, as revoking it at myapps.microsoft.com does."""
        with self.store.writing():
            for table in ("consent", "code", "token"):
                self.store.db.execute(f"DELETE FROM {table} WHERE mailbox = ?", (mailbox,))  # noqa: S608
        self.on_withdrawn(mailbox)

    def expire_access_tokens(self, mailbox: str | None = None) -> None:
        """Makes every access token answer 401; of one mailbox, or of all."""
        with self.store.writing():
            self.store.db.execute(
                "UPDATE token SET expires = 0 WHERE kind = 'access' AND mailbox = coalesce(?, mailbox)",
                (mailbox,),
            )

    def _row(self, kind: str, token: str) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self.store.db.execute(
            "SELECT * FROM token WHERE digest = ? AND kind = ?", (digest(token), kind)
        ).fetchone()
        return found


def _grant(row: sqlite3.Row) -> Grant:
    return Grant(row["mailbox"], row["tenant"], tuple(row["scopes"].split()))
