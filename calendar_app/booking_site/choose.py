"""What can be booked at a business, and the times of one thing: pages that only read."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from calendar_app.booking_site import answers, framing, times
from calendar_app.booking_site.visit import Visit, path_of
from calendar_app.errors import NotFound
from calendar_app.services.availability import slots as available_slots
from calendar_app.services.event_types import links as private_links
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.event_types.queries import PublicEventType
from calendar_app.translations import formats, zones

router = APIRouter(include_in_schema=False)

SEEN_FOR_S = 3.0
"""Seconds for which one look at the times serves all who ask again whether they have changed."""
_MOST_LOOKS = 500


@router.get("/book/{workspace}")
def offers(request: Request, workspace: str) -> Response:
    """Everything that can be booked at one business."""
    visit = Visit.of(request)
    found = event_type_queries.public_list(workspace)
    rows = [
        (
            visit.link(path_of(view.workspace_slug, view.slug), duration=""),
            view,
            ", ".join(formats.length(minutes, visit.language.locale) for minutes in view.durations),
        )
        for view in found
    ]
    return answers.page(visit, "offers.html", embeddable=True, rows=rows)


@router.get("/book/{workspace}/{kind}")
def choose(request: Request, workspace: str, kind: str) -> Response:
    """The month and the times of one day."""
    visit = Visit.of(request)
    offer = private_links.public_or_linked(workspace, kind, visit.private_link)
    if not offer.is_active:
        return closed(visit, offer)
    fragment = _fragment(visit, offer)
    return answers.page(
        visit,
        "choose.html",
        embeddable=True,
        offer=offer,
        minutes=visit.duration(offer.durations),
        lengths=_lengths(visit, offer),
        fragment=Markup(fragment),  # noqa: S704 - a rendered template
        etag=answers.digest(fragment),
        key=secrets.token_urlsafe(16),
        notice=_notice(visit, offer),
        path=path_of(offer.workspace_slug, offer.slug),
    )


async def refreshed(request: Request) -> Response:
    """The part of the page that changes, for pages that are open: 304 while nothing has changed.

    Everybody who asks the same within :data:`SEEN_FOR_S` gets one answer; only visitors whose own holds count are
    answered each by themselves.
    """
    workspace, kind = request.path_params["workspace"], request.path_params["kind"]
    visit = Visit.of(request)
    language = visit.language
    key = (workspace, kind, request.url.query, language.code, str(language.locale), visit.zone(""))
    look = None if visit.holds else _looks.get(key)
    if look is None:
        look = await run_in_threadpool(_look, visit, workspace, kind)
        if not visit.holds:
            _looks.keep(key, look)
    headers = framing.headers(sites=None, secret=False) | {"ETag": f'"{look.etag}"'}
    if request.headers.get("if-none-match", "").removeprefix("W/").strip('"') == look.etag:
        return Response(status_code=304, headers=headers)
    return visit.set_cookies(answers.html(visit, look.text, 200, headers))


# A plain route: open pages ask every few seconds, and what FastAPI does for a request costs more than the answer.
router.add_route("/book/{workspace}/{kind}/times", refreshed, methods=["GET"])


@router.get("/book/{workspace}/{kind}/zones")
def choose_zone(request: Request, workspace: str, kind: str) -> Response:
    """Time zones by city and country, as links back to the times."""
    visit = Visit.of(request)
    offer = private_links.public_or_linked(workspace, kind, visit.private_link)
    path = path_of(offer.workspace_slug, offer.slug)
    return zone_page(visit, path, offer.timezone)


def zone_page(visit: Visit, path: str, home: str, *, secret: bool = False) -> Response:
    """Zones that match what was typed; each leads back to ``path`` with the month that was shown."""
    locale = visit.language.locale
    typed = visit.params.get("q", "")[:100]
    carried = {name: visit.params.get(name, "") for name in ("month", "day", "hold")}
    shown = visit.zone(home)

    def link(zone: str) -> str:
        return visit.link(path, **{**carried, "tz": zone})

    rows = [
        (link(found.zone), found, zones.described(found.zone, visit.now, locale), _now(visit, found.zone))
        for found in zones.search(typed, locale)
    ]
    return answers.page(
        visit,
        "zones.html",
        embeddable=not secret,
        secret=secret,
        rows=rows,
        typed=typed,
        back=visit.link(path, **carried),
        carried={**visit.kept, **carried, "tz": shown},
        shown=zones.described(shown, visit.now, locale),
        utc=link("UTC"),
    )


def closed(visit: Visit, offer: PublicEventType) -> Response:
    """The page of something that is not offered at present."""
    return answers.page(visit, "closed.html", embeddable=True, offer=offer)


def _now(visit: Visit, zone: str) -> str:
    return formats.clock(visit.now, zone, visit.language.locale, visit.hour12)


def _notice(visit: Visit, offer: PublicEventType) -> str:
    """What of the address could not be followed."""
    asked = visit.params
    if asked.get("taken"):
        return "taken"
    if (asked.get("month") or asked.get("day")) and visit.month is None:
        return "month"
    if asked.get("duration") and asked["duration"] not in {str(minutes) for minutes in offer.durations}:
        return "duration"
    return "zone" if asked.get("tz") and not zones.current(asked["tz"]) else ""


def _lengths(visit: Visit, offer: PublicEventType) -> list[tuple[str, str, bool]]:
    """Links to the other lengths: address, words, whether it is the one that is shown."""
    path, shown = path_of(offer.workspace_slug, offer.slug), visit.duration(offer.durations)
    return [
        (
            visit.link(path, duration=minutes, month=visit.params.get("month", "")),
            formats.length(minutes, visit.language.locale),
            minutes == shown,
        )
        for minutes in offer.durations
    ]


def _fragment(visit: Visit, offer: PublicEventType) -> str:
    """The month and its times, as HTML."""
    zone, path = visit.zone(offer.timezone), path_of(offer.workspace_slug, offer.slug)
    minutes = visit.duration(offer.durations)
    ask = partial(_ask, offer.id, zone, minutes, visit.hold_rows, visit.private_link)
    month = times.month(visit, path, ask, zone=zone, horizon_days=offer.horizon_days)
    return answers.render(
        visit,
        "_times.html",
        month=month,
        minutes=minutes,
        path=path,
        zones_path=f"{path}/zones",
        pick="",
        waits=offer.requires_approval,
        horizon=offer.horizon_days,
        hold=visit.holds[0] if visit.holds else "",
    )


def _ask(kind: str, zone: str, minutes: int, own_holds: list[str], link: str, start: Any, end: Any) -> Any:
    return available_slots.slots(
        kind, start, end, zone=zone, duration=minutes, own_holds=own_holds, link=link
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """The times as they were a moment ago."""

    text: str
    etag: str
    until: float


class _Looks:
    """The latest looks, by what was asked; the oldest go first."""

    def __init__(self) -> None:
        self._found: dict[object, _Look] = {}
        self._lock = Lock()

    def get(self, key: object) -> _Look | None:
        look = self._found.get(key)
        return look if look is not None and look.until > time.monotonic() else None

    def keep(self, key: object, look: _Look) -> None:
        with self._lock:
            self._found.pop(key, None)
            self._found[key] = look
            while len(self._found) > _MOST_LOOKS:
                del self._found[next(iter(self._found))]

    def forget(self) -> None:
        with self._lock:
            self._found.clear()


_looks = _Looks()


def forget() -> None:
    """Look again for whoever asks next."""
    _looks.forget()


def _look(visit: Visit, workspace: str, kind: str) -> _Look:
    offer = private_links.public_or_linked(workspace, kind, visit.private_link)
    if not offer.is_active:
        raise NotFound("There is nothing to be booked here at the moment.")
    text = _fragment(visit, offer)
    return _Look(text, answers.digest(text), time.monotonic() + SEEN_FOR_S)
