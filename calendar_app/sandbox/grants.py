"""Who allowed what at a stand-in: consents, authorization codes, access and refresh tokens.

Rules of RFC 6749 and RFC 7636 that every provider shares; a provider's own are class attributes. Codes and tokens are
stored as digests only, in tables that all stand-ins have alike. Times are milliseconds since the epoch.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers

from calendar_app.sandbox.pkce import proves
from calendar_app.sandbox.store import Store, digest

SCHEMA = """
CREATE TABLE IF NOT EXISTS consent_given (
  account TEXT PRIMARY KEY, scopes TEXT NOT NULL, offline INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS authorization_code (
  digest TEXT PRIMARY KEY, account TEXT NOT NULL, tenant TEXT NOT NULL, scopes TEXT NOT NULL,
  redirect_uri TEXT NOT NULL, challenge TEXT NOT NULL, challenge_method TEXT NOT NULL, nonce TEXT NOT NULL,
  refreshable INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bearer_token (
  digest TEXT PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL, tenant TEXT NOT NULL, scopes TEXT NOT NULL,
  issued INTEGER NOT NULL, expires INTEGER) WITHOUT ROWID;
"""
CODE_LIFE_MS = 600_000
ACCESS_TOKEN_LIFE_S = 3600
_KEPT_MS = 86_400_000
"""How long codes and tokens are remembered after their end."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The account (an e-mail address), tenant and scopes behind a code or token; both times are a token's.

    A refresh token that is issued for a grant with ``expires`` ends then.
    """

    account: str
    scopes: tuple[str, ...]
    tenant: str = ""
    issued: int = 0
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """What an authorization code stands for; ``refreshable``: a refresh token goes with it."""

    grant: Grant
    redirect_uri: str
    challenge: str
    challenge_method: str
    nonce: str
    refreshable: bool = True
    used: bool = False
    expired: bool = False

    def proves(self, verifier: str) -> bool:
        """RFC 7636 §4.6; true as well where no challenge was sent."""
        return proves(verifier, self.challenge, self.challenge_method)


class Grants:
    """Use of the tables. ``on_withdrawn`` hears of an account whose grant ended."""

    access_token_life = ACCESS_TOKEN_LIFE_S
    """Seconds."""
    refresh_token_life_ms: int | None = None
    begins: Mapping[str, str] = {}
    """How a ``code``, an ``access`` and a ``refresh`` token begin."""

    def __init__(self, store: Store, access_token_life: int | None = None) -> None:
        self.store = store
        if access_token_life is not None:
            self.access_token_life = access_token_life
        self.on_withdrawn: Callable[[str], object] = lambda _account: None

    def consent(self, account: str) -> frozenset[str]:
        """The scopes that the account's owner allowed; empty where there is no consent."""
        row = self.store.db.execute(
            "SELECT scopes FROM consent_given WHERE account = ?", (account,)
        ).fetchone()
        return frozenset(row["scopes"].split()) if row else frozenset()

    def is_offline(self, account: str) -> bool:
        """Whether a refresh token was given to the account before."""
        row = self.store.db.execute(
            "SELECT offline FROM consent_given WHERE account = ?", (account,)
        ).fetchone()
        return bool(row and row["offline"])

    def add_consent(self, account: str, scopes: tuple[str, ...], *, offline: bool = False) -> None:
        """The account allows the scopes, besides what it allowed before."""
        given = " ".join(sorted(self.consent(account) | set(scopes)))
        with self.store.writing():
            self.store.db.execute(
                "INSERT OR REPLACE INTO consent_given VALUES (?, ?, ?)",
                (account, given, offline or self.is_offline(account)),
            )

    def allow(self, allowed: CodeGrant) -> str:
        """Records the consent and gives a single-use code."""
        grant, code = allowed.grant, self._secret("code")
        self.add_consent(grant.account, grant.scopes, offline=allowed.refreshable)
        now = self.store.now_ms()
        with self.store.writing():
            self.store.db.execute("DELETE FROM authorization_code WHERE expires <= ?", (now - _KEPT_MS,))
            self.store.db.execute(
                "INSERT INTO authorization_code VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    digest(code),
                    grant.account,
                    grant.tenant,
                    " ".join(grant.scopes),
                    allowed.redirect_uri,
                    allowed.challenge,
                    allowed.challenge_method,
                    allowed.nonce,
                    allowed.refreshable,
                    now + CODE_LIFE_MS,
                ),
            )
        return code

    def redeem(self, code: str) -> CodeGrant | None:
        """Uses up a code; ``None`` for an unknown one."""
        with self.store.writing():
            row = self.store.db.execute(
                "SELECT * FROM authorization_code WHERE digest = ?", (digest(code),)
            ).fetchone()
            self.store.db.execute("UPDATE authorization_code SET used = 1 WHERE digest = ?", (digest(code),))
        if row is None:
            return None
        names = ("redirect_uri", "challenge", "challenge_method", "nonce")
        return CodeGrant(
            Grant(row["account"], tuple(row["scopes"].split()), row["tenant"]),
            **{name: row[name] for name in names},
            refreshable=bool(row["refreshable"]),
            used=bool(row["used"]),
            expired=row["expires"] <= self.store.now_ms(),
        )

    def issue(self, kind: str, grant: Grant) -> str:
        """A new ``access`` or ``refresh`` token."""
        now, token = self.store.now_ms(), self._secret(kind)
        life = self.access_token_life * 1000 if kind == "access" else self.refresh_token_life_ms
        expires = None if life is None else now + life
        if kind == "refresh" and grant.expires is not None:
            expires = grant.expires
        with self.store.writing():
            self.store.db.execute("DELETE FROM bearer_token WHERE expires <= ?", (now - _KEPT_MS,))
            self.store.db.execute(
                "INSERT INTO bearer_token VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    digest(token),
                    kind,
                    grant.account,
                    grant.tenant,
                    " ".join(grant.scopes),
                    now,
                    expires,
                ),
            )
        return token

    def known(self, kind: str, token: str) -> Grant | None:
        """The token's grant, also of one that has expired; ``None`` where it is unknown or withdrawn."""
        row: Any = self.store.db.execute(
            "SELECT * FROM bearer_token WHERE digest = ? AND kind = ?", (digest(token), kind)
        ).fetchone()
        if row is None:
            return None
        return Grant(
            row["account"], tuple(row["scopes"].split()), row["tenant"], row["issued"], row["expires"]
        )

    def find(self, kind: str, token: str) -> Grant | None:
        """The token's grant; ``None`` where it is unknown, withdrawn or expired."""
        grant = self.known(kind, token)
        return grant if grant is not None and not self.has_ended(grant) else None

    def has_ended(self, grant: Grant) -> bool:
        """Whether the token's time is over."""
        return grant.expires is not None and grant.expires <= self.store.now_ms()

    def end(self, token: str) -> None:
        """The token is worth nothing from now on."""
        with self.store.writing():
            self.store.db.execute("DELETE FROM bearer_token WHERE digest = ?", (digest(token),))

    def withdraw(self, account: str) -> None:
        """Ends the account's consent with all its tokens, as its owner can at the provider."""
        with self.store.writing():
            for table in ("consent_given", "authorization_code", "bearer_token"):
                self.store.db.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608
        self.on_withdrawn(account)

    def expire_access_tokens(self, account: str | None = None) -> None:
        """Makes every access token answer 401; of one account, or of all."""
        with self.store.writing():
            self.store.db.execute(
                "UPDATE bearer_token SET expires = 0 WHERE kind = 'access' AND account = coalesce(?, account)",
                (account,),
            )

    def _secret(self, kind: str) -> str:
        return self.begins.get(kind, "") + secrets.token_urlsafe(64)


def bearer_token(headers: Headers) -> str:
    """What ``Authorization: Bearer`` carries (RFC 6750 §2.1); empty where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""
