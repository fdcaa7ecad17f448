"""Private calendar feeds over HTTP: the person's own address, and the file that calendar programs fetch from it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from fastapi import Request, Response
from pydantic import BaseModel

from calendar_app.api.deps import CurrentActor, client_address
from calendar_app.api.routing import CALENDAR_FILE, Router
from calendar_app.clock import utc_now
from calendar_app.services.bookings import ics_feeds
from calendar_app.services.bookings.ics_feeds import FeedFile, FeedView

router = Router(prefix="/feeds", tags=["feeds"])


class FeedOut(BaseModel):
    """`feed` is `null` where you have none."""

    feed: FeedView | None


@router.get("")
def get_feed(actor: CurrentActor) -> FeedOut:
    """Your feed of this workspace. Its address is secret: whoever knows it can read your bookings."""
    return FeedOut(feed=ics_feeds.get(actor))


@router.post("", status_code=201)
def create_feed(actor: CurrentActor) -> FeedOut:
    """Get a feed, or a new address for the one you have; the old address ends at once."""
    return FeedOut(feed=ics_feeds.create(actor))


@router.delete("", status_code=204)
def revoke_feed(actor: CurrentActor) -> None:
    """End your feed."""
    ics_feeds.revoke(actor)


@router.get(
    "/{secret}.ics",
    response_class=Response,
    responses=CALENDAR_FILE | {304: {"description": "The reader has this version"}},
)
def read_feed(secret: str, request: Request) -> Response:
    """The calendar file, for programs that subscribe. Nothing but the address is asked for."""
    file = ics_feeds.read(secret, client=client_address(request))
    headers = {
        "ETag": file.etag,
        "Last-Modified": format_datetime(file.modified.astimezone(UTC), usegmt=True),
        "Cache-Control": f"private, max-age={int(ics_feeds.REFRESH.total_seconds() // 3)}",
        "X-Robots-Tag": "noindex",
    }
    if _is_known(request, file):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type="text/calendar; charset=utf-8", headers=headers)


def _is_known(request: Request, file: FeedFile) -> bool:
    """Whether the reader has this version (RFC 9110 §13.2.2: entity tags go before dates)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return "*" in known or file.etag in known
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except ValueError:
        return False
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    return _second(file.modified) <= since < utc_now()


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
