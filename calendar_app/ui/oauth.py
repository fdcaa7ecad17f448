"""From a page to a provider's consent page, and what its answer means when the browser comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.connection_lifecycle import administrator_consent
from calendar_app.services.connection_lifecycle import oauth as connection_oauth
from calendar_app.services.connections import queries as connection_queries
from calendar_app.ui import notices
from calendar_app.ui.session import SessionState, signed_in

MESSAGES = {
    "consent_denied": "Access was not granted, so nothing was connected. You can try again at any time.",
    "state_invalid": "This attempt has expired or was started in another browser. Please start it again here.",
    "needs_reconnect": "The provider did not accept the sign-in. Please connect again.",
    "provider_not_configured": "This provider is not configured yet. Ask the person who runs this installation.",
    "provider_unavailable": "The provider could not be reached. Please try again in a minute.",
    "rate_limited": "That were too many attempts. Wait a few minutes, then try again.",
    "provider_refused": "The provider refused the request. Please try again; if it stays so, tell whoever runs this.",
    "provider_misconfigured": "The provider refused our credentials. Ask whoever runs this installation to check them.",
    "scope_missing": "A permission that nothing works without was not ticked. Connect again and leave it ticked.",
    "wrong_account": "You signed in with another account. Reconnect with the account of this connection.",
    **{str(why): text for why, text in administrator_consent.REFUSALS.items()},
    "admin_consent_refused": "Your administrator did not allow Almanac to use calendars. Ask them why.",
    "not_signed_in": "You were signed out meanwhile. Sign in, then connect again.",
}
"""What the callback puts into ``?error=``, in words."""

CALENDARS = "/settings/calendars"
SAYS_OUTCOME = ("/dashboard", CALENDARS)
"""Pages that tell what came of a connection."""
FALLBACK = "The account could not be connected. Please try again."


def outcome(query: Mapping[str, str]) -> tuple[str, str]:
    """(good news, bad news) out of the callback's ``?connected=`` or ``?error=``; at most one is not empty."""
    if code := query.get("error", ""):
        return "", MESSAGES.get(code, FALLBACK)
    if query.get("connected"):
        return "The account is connected. Its events are being read and appear by themselves.", ""
    if query.get("agreed"):
        return "Your administrator has agreed. Connect your account now.", ""
    return "", ""


def offers_link(query: Mapping[str, str]) -> bool:
    """Whether the callback's ``?error=`` is one after which a link for the administrator may help."""
    return query.get("error", "") in administrator_consent.OFFERS_LINK


class Reconnect(rx.State):
    """Brings an account back from wherever its loss is told."""

    @rx.event
    async def one(self, provider: str, connection_id: str, sign_in: str) -> Any:
        """Give a connection a new grant: at the provider's page, or where its password is asked for."""
        if sign_in != "oauth":
            return rx.redirect(CALENDARS)
        here = self.router.url.path.rstrip("/")
        back = here if here in SAYS_OUTCOME else CALENDARS
        return await start_connection(self, provider, next_path=back, connection_id=connection_id)

    @rx.event
    async def first(self) -> Any:
        """The first of one's own accounts that have to be brought back."""
        identity, actor = await signed_in(self)
        found = await asyncio.to_thread(connection_queries.list_connections, actor)
        mine = [
            one for one in found if one.status == "needs_reconnect" and one.person_id == identity.person_id
        ]
        kinds = {kind.key: str(kind.sign_in) for kind in connection_queries.providers()}
        if not mine:
            return rx.redirect(CALENDARS)
        return await self.one(mine[0].provider, mine[0].id, kinds.get(mine[0].provider, ""))


async def start_connection(
    state: rx.State, provider: str, *, next_path: str, connection_id: str | None = None
) -> rx.event.EventSpec | None:
    """Send the browser to the provider; only the same signed-in browser can come back with the answer."""
    identity, actor = await signed_in(state)
    try:
        url = await asyncio.to_thread(
            connection_oauth.start,
            actor,
            provider,
            binding=identity.session_id,
            next_path=next_path,
            connection_id=connection_id,
        )
    except AlmanacError as error:
        return notices.error(error.detail)
    (await state.get_state(SessionState)).leave_to = url
    return None
