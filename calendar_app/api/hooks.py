"""Where providers tell us that something changed. Nothing is believed but that it may be time to look."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from calendar_app.services import channels

router = APIRouter(prefix="/hooks", tags=["hooks"])


@router.post("/google", status_code=204, response_class=Response)
def google(request: Request) -> None:
    """A push of a Google channel (all facts in ``X-Goog-*`` headers): 404 unknown channel, 403 wrong token."""
    channels.receive_google(request.headers)
