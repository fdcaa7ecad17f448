"""What a business's own look is made of, the stylesheet of its colour and its logo, and the script for other sites.

Browsers keep the first two for ever, as their addresses change with them.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from calendar_app.booking_site import answers
from calendar_app.domain.accent import parse_accent, stylesheet
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.services.workspaces import settings

router = APIRouter(include_in_schema=False)

YEAR = "public, max-age=31536000, immutable"


@router.get("/embed.js")
def embed(request: Request) -> Response:
    """The script that shows booking pages on other sites; its address never changes, so it is asked for again."""
    found = answers.static_file("embed.js")
    assert found is not None
    content, compressed, media = found
    etag = f'"{answers.asset("embed.js").split("/")[2]}"'
    headers = {
        "Cache-Control": "public, max-age=600",
        "ETag": etag,
        "Vary": "Accept-Encoding",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if request.headers.get("if-none-match", "").removeprefix("W/") == etag:
        return Response(status_code=304, headers=headers)
    if answers.takes_gzip(request.headers):
        content, headers["Content-Encoding"] = compressed, "gzip"
    return Response(content, headers=headers, media_type=media)


@router.get("/site/accent/{color}.css")
def accent(color: str) -> Response:
    """The shades of a colour, ``rrggbb``."""
    try:
        css = stylesheet(parse_accent(color))
    except InvalidInput:
        raise NotFound("There is no such colour.") from None
    return Response(css, media_type="text/css; charset=utf-8", headers={"Cache-Control": YEAR})


@router.get(f"{settings.LOGO_PATH}/{{name}}")
def logo(name: str) -> Response:
    """A logo."""
    policy = "default-src 'none'; sandbox"
    headers = {"Cache-Control": YEAR, "Content-Security-Policy": policy}
    return Response(settings.logo_image(name), media_type="image/png", headers=headers)
