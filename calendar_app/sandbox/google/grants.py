"""Who allowed what: consents, authorization codes, access and refresh tokens.

Rules follow https://developers.google.com/identity/protocols/oauth2/web-server and RFC 6749, RFC 7636. Codes and tokens
are stored as digests only.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from calendar_app.sandbox.pkce import proves
from calendar_app.sandbox.store import Store, digest

CODE_LIFE_MS = 600_000
ACCESS_TOKEN_LIFE_S = 3600


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person allowed the one client; ``offline`` once a refresh token was given."""

    scopes: frozenset[str]
    offline: bool


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """What an authorization code stands for; ``refreshable``: a refresh token goes with it."""

    account: str
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str
    challenge_method: str
    nonce: str
    refreshable: bool

    def proves(self, verifier: str) -> bool:
        """RFC 7636 §4.6; true as well where no challenge was sent."""
        return proves(verifier, self.challenge, self.challenge_method)


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """The account and scopes behind a token; ``ends``: when it ends, in epoch milliseconds, ``None`` for never."""

    account: str
    scopes: tuple[str, ...]
    ends: int | None = None


class Grants:
    """Use of the consent, code and token tables."""

    def __init__(self, store: Store, access_token_life: int = ACCESS_TOKEN_LIFE_S) -> None:
        self.store, self.access_token_life = store, access_token_life

    def consent(self, account: str) -> Consent | None:
        row = self.store.db.execute("SELECT * FROM consent WHERE account = ?", (account,)).fetchone()
        return Consent(frozenset(row["scopes"].split()), bool(row["offline"])) if row else None

    def allow(self, grant: CodeGrant) -> str:
        """Records the consent and gives a single-use code."""
        before = self.consent(grant.account)
        scopes = set(grant.scopes) | (before.scopes if before else frozenset())
        offline = grant.refreshable or (before is not None and before.offline)
        code = f"4/0A{secrets.token_urlsafe(48)}"
        now = self.store.now_ms()
        with self.store.writing():
            self.store.db.execute("DELETE FROM code WHERE expires <= ?", (now,))
            self.store.db.execute(
                "INSERT OR REPLACE INTO consent VALUES (?, ?, ?, ?)",
                (grant.account, " ".join(sorted(scopes)), offline, now),
            )
            self.store.db.execute(
                "INSERT INTO code VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    digest(code),
                    grant.account,
                    " ".join(grant.scopes),
                    grant.redirect_uri,
                    grant.challenge,
                    grant.challenge_method,
                    grant.nonce,
                    grant.refreshable,
                    now + CODE_LIFE_MS,
                ),
            )
        return code

    def redeem(self, code: str) -> CodeGrant | None:
        """The code's grant, once; ``None`` where it is unknown, used or expired."""
        row = self.store.db.execute(
            "DELETE FROM code WHERE digest = ? RETURNING *", (digest(code),)
        ).fetchone()
        if row is None or row["expires"] <= self.store.now_ms():
            return None
        fields = {
            name: row[name] for name in ("account", "redirect_uri", "challenge", "challenge_method", "nonce")
        }
        return CodeGrant(scopes=tuple(row["scopes"].split()), refreshable=bool(row["refreshable"]), **fields)

    def issue(self, kind: str, grant: TokenGrant) -> str:
        """A new ``access`` or ``refresh`` token; the latter ends with the grant."""
        now = self.store.now_ms()
        token = (
            f"ya29.sandbox-{secrets.token_urlsafe(48)}"
            if kind == "access"
            else f"1//0{secrets.token_urlsafe(48)}"
        )
        expires = now + self.access_token_life * 1000 if kind == "access" else grant.ends
        with self.store.writing():
            self.store.db.execute("DELETE FROM token WHERE expires <= ?", (now - 86_400_000,))
            self.store.db.execute(
                "INSERT INTO token VALUES (?, ?, ?, ?, ?)",
                (digest(token), kind, grant.account, " ".join(grant.scopes), expires),
            )
        return token

    def find(self, kind: str, token: str) -> TokenGrant | None:
        """The token's grant; ``None`` where it is unknown, revoked or expired."""
        row = self.store.db.execute(
            "SELECT * FROM token WHERE digest = ? AND kind = ?", (digest(token), kind)
        ).fetchone()
        if row is None or (row["expires"] is not None and row["expires"] <= self.store.now_ms()):
            return None
        return TokenGrant(row["account"], tuple(row["scopes"].split()), row["expires"])

    def withdraw(self, account: str) -> None:
        """Ends the account's consent with all its tokens and channels, as Google's "Remove access" does."""
        with self.store.writing():
            for table in ("consent", "code", "token", "channel"):
                self.store.db.execute(f"DELETE FROM {table} WHERE account = ?", (account,))  # noqa: S608

    def expire_access_tokens(self, account: str | None = None) -> None:
        """Makes every access token answer 401; of one account, or of all."""
        with self.store.writing():
            self.store.db.execute(
                "UPDATE token SET expires = 0 WHERE kind = 'access' AND account = coalesce(?, account)",
                (account,),
            )
