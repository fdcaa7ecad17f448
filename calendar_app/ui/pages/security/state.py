"""What the security page remembers and does."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.accounts import account_security as protection
from calendar_app.services.accounts import authentication, second_factor
from calendar_app.services.accounts.account_security import TokenView
from calendar_app.services.accounts.authentication import Identity, SessionView
from calendar_app.services.accounts.second_factor import FactorView
from calendar_app.ui import formats, notices
from calendar_app.ui.pages.security.rows import (
    BrowserRow,
    FactorRow,
    TokenRow,
    browser_row,
    factor_row,
    token_row,
)
from calendar_app.ui.session import enter, signed_in

PATH = "/settings/security"


class SecurityState(rx.State):
    """Sessions and tokens of the person; secrets never get in here (see ``secret_form.js``)."""

    loaded: bool = False
    browsers: list[BrowserRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    tokens: list[TokenRow] = []  # noqa: RUF012
    factors: list[FactorRow] = []  # noqa: RUF012
    codes_left: int = 0
    password_error: str = ""
    password_done: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show everything."""
        await enter(self, zone, hour12)
        self.password_error = self.password_done = ""
        await self._read((await signed_in(self))[0])

    async def _read(self, identity: Identity) -> None:
        browsers, tokens, factors, self.codes_left = await asyncio.to_thread(_listed, identity)
        self.factors = [factor_row(one) for one in factors]
        self.browsers = [browser_row(one) for one in browsers]
        self.tokens = [token_row(one) for one in tokens]
        self.loaded = True

    @rx.event
    async def refresh(self) -> None:
        """Read again after a token or a second factor was made."""
        await self._read((await signed_in(self))[0])

    @rx.event
    async def revoke(self, token_id: str) -> Any:
        """End a token."""
        identity, _ = await signed_in(self)
        try:
            await asyncio.to_thread(protection.revoke_token, identity, token_id)
        except AlmanacError as error:
            return notices.error(error.detail)
        finally:
            await self._read(identity)
        return notices.success("The token is revoked.")

    @rx.event
    async def sign_out(self, session_id: str) -> Any:
        """Sign another browser out."""
        identity, _ = await signed_in(self)
        try:
            await asyncio.to_thread(authentication.revoke_session, identity, session_id)
        except AlmanacError as error:
            return notices.error(error.detail)
        finally:
            await self._read(identity)
        return notices.success("That browser is signed out.")

    @rx.event
    async def sign_out_others(self) -> Any:
        """Sign every other browser out."""
        identity, _ = await signed_in(self)
        ended = await asyncio.to_thread(protection.sign_out_others, identity)
        await self._read(identity)
        return notices.success(f"{formats.count(ended, 'browser')} signed out.")

    @rx.event
    async def change_password(self, form: dict[str, Any]) -> None:
        """Set a new password."""
        identity, _ = await signed_in(self)
        self.password_error = self.password_done = ""
        try:
            ended = await asyncio.to_thread(
                partial(protection.change_password, end_tokens=bool(form.get("end_tokens"))),
                identity,
                str(form.get("present", "")),
                str(form.get("new", "")),
            )
        except AlmanacError as error:
            self.password_error = error.detail
            await self._read(identity)
            return
        await self._read(identity)
        self.password_done = password_done(ended, len(self.tokens))


def password_done(browsers: int, tokens: int) -> str:
    """What a new password has ended, and what it has not."""
    done = "The password is changed."
    if browsers:
        done += f" {formats.count(browsers, 'other browser')} signed out."
    if tokens:
        done += (
            f" {formats.count(tokens, 'API token')} still {'works' if tokens == 1 else 'work'}: see above."
        )
    return done


def _listed(
    identity: Identity,
) -> tuple[list[SessionView], list[TokenView], list[FactorView], int]:
    return (
        authentication.list_sessions(identity),
        protection.list_tokens(identity),
        second_factor.list_factors(identity),
        second_factor.recovery_codes_left(identity),
    )
