"""Who is looking at the page: every handler that touches data asks :func:`enter` or :func:`acting` first.

The cookie is the only proof. Its digest is read again from the request's headers in each event and checked against the
database in each event, because an open websocket outlives a session that was revoked meanwhile.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

import reflex as rx

from calendar_app import logs
from calendar_app.errors import NotFound, NotSignedIn
from calendar_app.services.accounts import authentication
from calendar_app.services.accounts.authentication import Identity
from calendar_app.services.bookings import queries as booking_queries
from calendar_app.services.common.permissions import Actor
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.connections.receiving import HostWithoutCalendar, hosts_without_calendar
from calendar_app.settings import get_settings
from calendar_app.ui.formats import known_zone
from calendar_app.ui.reloading import check_loaded, keep, note_load
from calendar_app.ui.sealed import session_digest


class SignInFirst(NotSignedIn):
    """The page needs a session; ``target`` is where the browser goes instead."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target


@dataclass
class WorkspaceOption:
    """A workspace that the person may switch to."""

    id: str
    name: str


class SessionState(rx.State):
    """What every page shows of the person and the workspace. Nothing here is trusted: it is display only.

    ``person_id`` tells what is theirs from what is a colleague's, ``zone`` is the browser's zone, in which times are
    shown; ``chosen`` the workspace picked in the menu, ``leave_to`` the provider's address that the browser is on its
    way to, ``waiting`` how many bookings wait for approval, ``lost`` names the person's accounts that they have to
    reconnect, empty where there are none; ``unreceived`` says whose bookings no calendar receives, empty for nobody's.
    """

    person_id: str = ""
    name: str = ""
    email: str = ""
    initials: str = ""
    role: str = ""
    workspace_name: str = ""
    workspace_slug: str = ""
    workspaces: list[WorkspaceOption] = []  # noqa: RUF012 - Reflex copies defaults per session
    zone: str = "UTC"
    hour12: bool = False
    sandbox: bool = False
    chosen: str = ""
    leave_to: str = ""
    waiting: int = 0
    lost: str = ""
    unreceived: str = ""

    @rx.event
    async def switch(self, workspace_id: str) -> rx.event.EventSpec:
        """Work in another of one's workspaces."""
        identity, _ = await signed_in(self)
        self.chosen = identity.actor(workspace_id).workspace_id
        return rx.redirect("/dashboard", replace=True)


keep(SessionState, "chosen", first=True)


async def identify(state: rx.State) -> Identity | None:
    """The signed-in person behind an event, asked of the database; ``None`` without a live session.

    What follows from the event is logged under an id of its own, as with requests.
    """
    if logs.request_id.get() == logs.NOBODY:
        logs.request_id.set(logs.sane_id(""))
    digest = session_digest(state.router.headers.cookie)
    return await asyncio.to_thread(authentication.identify_digest, digest) if digest else None


def sign_in_target(state: rx.State) -> str:
    """The sign-in page, with the way back to where the person is now."""
    url = state.router.url
    here = url.path + (f"?{url.query}" if url.query else "")
    expired = "&error=expired" if session_digest(state.router.headers.cookie) else ""
    return f"/login?next={quote(here, safe='/')}{expired}"


async def signed_in(state: rx.State) -> tuple[Identity, Actor]:
    """The person, and their part in the chosen workspace. :raises SignInFirst: without a live session."""
    identity = await identify(state)
    if identity is None:
        raise SignInFirst(sign_in_target(state))
    session = await state.get_state(SessionState)
    try:
        return identity, identity.actor(session.chosen or None)
    except NotFound:
        session.chosen = ""
        return identity, identity.actor()


async def acting(state: rx.State) -> Actor:
    """The person in the chosen workspace, on a page that was loaded.

    :raises SignInFirst: without a live session. :raises NotLoaded: the page's state was lost.
    """
    _, actor = await signed_in(state)
    await check_loaded(state)
    return actor


async def enter(state: rx.State, zone: str, hour12: bool) -> Actor:
    """As :func:`acting`, and fills what the layout shows; called when a page stands, with what its browser told."""
    identity, actor = await signed_in(state)
    session = await state.get_state(SessionState)
    workspace = next(ref for ref in identity.workspaces if ref.id == actor.workspace_id)
    session.person_id = identity.person_id
    session.name, session.email = identity.name or identity.email, identity.email
    session.initials = initials(session.name)
    session.role = str(actor.role)
    session.workspace_name, session.workspace_slug = workspace.name, workspace.slug
    session.workspaces = [WorkspaceOption(ref.id, ref.name) for ref in identity.workspaces]
    session.sandbox = get_settings().sandbox
    session.leave_to = ""
    await note_pending(session, actor)
    session.zone, session.hour12 = known_zone(zone, identity.timezone), hour12
    await note_load(state)
    return actor


async def note_pending(session: SessionState, actor: Actor) -> None:
    """Read again what waits for the person on every page."""
    session.waiting, lost, without = await asyncio.to_thread(_pending, actor)
    session.lost, session.unreceived = " and ".join(lost), unreceived(without)


def _pending(actor: Actor) -> tuple[int, list[str], list[HostWithoutCalendar]]:
    return (
        booking_queries.count_waiting(actor),
        connection_queries.to_reconnect(actor),
        hosts_without_calendar(actor),
    )


def unreceived(hosts: list[HostWithoutCalendar]) -> str:
    """Whose bookings no calendar receives, in words; the reader first, at most three colleagues by name."""
    if not hosts:
        return ""
    names = [host.name for host in hosts if host.name]
    if len(names) > 3:
        names = [*names[:2], f"{len(names) - 2} others"]
    named = " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), *names[-1:]])
    whose = f"the bookings of {named}" if names else "your bookings"
    if names and len(hosts) > sum(bool(host.name) for host in hosts):
        whose = f"your bookings, nor those of {named}"
    return (
        f"No calendar receives {whose}. They stand in Almanac and emails go out, but no calendar shows them."
    )


def initials(name: str) -> str:
    """One or two capitals for the avatar."""
    words = [word for word in name.replace("@", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()
