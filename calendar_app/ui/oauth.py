"""From a page to a provider's consent page, and what its answer means when the browser comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.connection_lifecycle import administrator_consent
from calendar_app.services.connection_lifecycle import oauth as connection_oauth
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
