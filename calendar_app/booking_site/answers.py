"""Pages out of templates, and redirects: the two things that a route answers with."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache, lru_cache, partial
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response

from calendar_app import translations
from calendar_app.booking_site import framing, places
from calendar_app.booking_site.visit import Visit
from calendar_app.translations import formats

STATIC = "/site"
_MEDIA = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
_LEAST_TO_COMPRESS = 1_000


@lru_cache(maxsize=8)
def environment(code: str) -> Environment:
    """The templates in one language."""
    made = Environment(
        loader=PackageLoader("calendar_app.booking_site"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    catalogue = translations.catalogue(code)
    made.install_gettext_callables(  # type: ignore[attr-defined]
        catalogue.gettext, catalogue.ngettext, newstyle=True
    )
    made.globals |= {
        "asset": asset,
        "languages": translations.NAMES,
        "length": formats.length,
        "accent_sheet": accent_sheet,
        "place_names": partial(places.names, _=catalogue.gettext),
    }
    return made


def render(visit: Visit, template: str, **context: Any) -> str:
    """A template in the visitor's language."""
    return (
        environment(visit.language.code)
        .get_template(template)
        .render(visit=visit, language=visit.language, here=_here(visit), **context)
    )


def page(
    visit: Visit,
    template: str,
    *,
    status: int = 200,
    embeddable: bool = False,
    secret: bool = False,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """A whole page, as its business has it. ``embeddable``: by the sites that the business names; ``secret`` as in
    :func:`framing.headers`."""
    found = framing.headers(sites=visit.look.sites if embeddable else None, secret=secret)
    found |= dict(headers or {})
    found["Content-Language"] = visit.language.locale.language
    return visit.set_cookies(html(visit, render(visit, template, **context), status, found))


def html(visit: Visit, text: str, status: int, headers: Mapping[str, str]) -> Response:
    """Text as an answer, compressed where that is worth it and the browser takes it."""
    body, found = (
        text.encode(),
        {**headers, "Vary": "Accept-Encoding, Accept-Language, Cookie, Sec-Fetch-Dest"},
    )
    if len(body) >= _LEAST_TO_COMPRESS and takes_gzip(visit.request.headers):
        body, found["Content-Encoding"] = gzip.compress(body, 5, mtime=0), "gzip"
    return Response(body, status, headers=found, media_type="text/html; charset=utf-8")


def takes_gzip(headers: Mapping[str, str]) -> bool:
    """Whether the browser takes compressed answers."""
    return "gzip" in headers.get("accept-encoding", "")


def see_other(visit: Visit, path: str) -> Response:
    """Go on with GET (RFC 9110 section 15.4.4), so that loading the page again repeats nothing."""
    response = RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})
    return visit.set_cookies(response)


def digest(text: str) -> str:
    """A short name for a text that changes with it."""
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@cache
def static_file(name: str) -> tuple[bytes, bytes, str] | None:
    """One of the site's files: as it is, compressed, and its media type."""
    folder = resources.files("calendar_app.booking_site") / "static"
    stem, _, extension = name.rpartition(".")
    if extension not in _MEDIA or not stem.isascii() or not stem.isalnum():
        return None
    file = folder / name
    if not file.is_file():
        return None
    content = file.read_bytes()
    return content, gzip.compress(content, 9, mtime=0), _MEDIA[extension]


@cache
def asset(name: str) -> str:
    """The address of a file of the site; it changes with the file, so that it can be kept for ever."""
    found = static_file(name)
    assert found is not None, name
    return f"{STATIC}/{hashlib.sha256(found[0]).hexdigest()[:12]}/{name}"


def accent_sheet(accent: str) -> str:
    """The address of the stylesheet of a colour ``#rrggbb``."""
    return f"{STATIC}/accent/{accent.removeprefix('#')}.css"


def _here(visit: Visit) -> str:
    """The address of this page without its language, for links to it in another one."""
    query = parse_qsl(visit.request.url.query, keep_blank_values=False)
    kept = urlencode([(name, value) for name, value in query if name != "lang"], safe="/:")
    return f"{quote(visit.request.scope['path'])}?{kept}{'&' if kept else ''}"
