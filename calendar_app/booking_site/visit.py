"""One request of a customer, as the routes see it: what its address chooses, its language, and what to remember.

What a page shows is decided by its address alone, and where that says nothing by cookies that hold a choice (zone,
language), never a right. :meth:`Visit.link` makes addresses that carry the choices of this one along, so that they hold
where a browser keeps no cookies, as in a frame on another site.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response

from calendar_app import translations
from calendar_app.clock import utc_now
from calendar_app.domain.booking_form import GivenDetails
from calendar_app.domain.intake import clean_campaign
from calendar_app.errors import NotFound
from calendar_app.services.common import rate_limits, signed_links, visitors
from calendar_app.services.workspaces import settings
from calendar_app.services.workspaces.settings import Look
from calendar_app.settings import current_settings, get_settings
from calendar_app.translations import formats, zones

ZONE_COOKIE, LANGUAGE_COOKIE, HOLDS_COOKIE = "almanac_zone", "almanac_language", "almanac_holds"
MOST_HOLDS = 4
"""Holds of one browser on one event type that it is told apart by."""
DAY_SECONDS, YEAR_SECONDS = 86_400, 365 * 86_400
_CARRIED = ("tz", "duration", "lang", "clock", "embed", "link")
PREFILLED = ("name", "email", *GivenDetails.__dataclass_fields__)
"""Fields of the form that an address may fill in, beside ``answer-<id>``."""
_MOST_PREFILLED, _LONGEST_PREFILLED = 30, 500
_ORIGIN = re.compile(r"https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass
class Visit:
    """``params``: the address's query with what a form sent in place of it, one value a name. ``now`` is UTC.

    ``workspace`` is the slug of the business whose page it is, empty where it is nobody's.
    """

    request: Request
    params: Mapping[str, str]
    now: datetime = field(default_factory=utc_now)
    cookies: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    workspace: str = ""

    @classmethod
    def of(cls, request: Request, form: Mapping[str, str] | None = None) -> Visit:
        """The visit behind a request; what the form says of zone, length and language wins over the address."""
        chosen = {name: form[name] for name in _CARRIED if form and name in form}
        workspace = request.path_params.get("workspace", "")
        return cls(request, {**request.query_params, **chosen}, workspace=workspace)

    @cached_property
    def look(self) -> Look:
        """How the pages of the business look."""
        return settings.look(self.workspace)

    @cached_property
    def language(self) -> translations.Language:
        """By the address, then by an earlier choice, then as the browser asks, then the business's."""
        pseudo = not get_settings().production
        asked = self.params.get("lang", "")
        wanted = (asked, self.request.cookies.get(LANGUAGE_COOKIE, ""))
        accepted = self.request.headers.get("accept-language", "")
        found = translations.choose(wanted, accepted, fallback=lambda: self.look.language, pseudo=pseudo)
        if asked and found.code == asked:
            self.remember(LANGUAGE_COOKIE, asked, seconds=YEAR_SECONDS, path="/", readable=True)
        return found

    @property
    def framed(self) -> bool:
        """Whether the page is shown in a frame, as its address or the browser says (Fetch Metadata)."""
        return bool(self.params.get("embed")) or self.request.headers.get("sec-fetch-dest") == "iframe"

    @property
    def around(self) -> str:
        """The origin of the page around the frame, as the address says; only it is told what happens in the frame."""
        match = _ORIGIN.fullmatch(self.params.get("embed", ""))
        return match[0] if match and self.framed else ""

    @property
    def private_link(self) -> str:
        """The token of a private link, if the address holds one."""
        return self.params.get("link", "")

    @property
    def prefill(self) -> dict[str, str]:
        """What the address fills into the form, by the names of its fields."""
        found = {
            name: value[:_LONGEST_PREFILLED]
            for name, value in self.params.items()
            if value and (name in PREFILLED or name.startswith("answer-"))
        }
        return dict(list(found.items())[:_MOST_PREFILLED])

    @property
    def campaign(self) -> dict[str, str]:
        """What the address says of where the visitor came from."""
        return clean_campaign(self.params)

    def forget_prefill(self) -> None:
        """Leave what the form was filled with out of further addresses."""
        self.params = {name: value for name, value in self.params.items() if name in _CARRIED}

    @property
    def kept(self) -> dict[str, str]:
        """What :meth:`link` carries along."""
        chosen = {name: self.params[name] for name in _CARRIED if self.params.get(name)}
        return chosen | self.prefill | self.campaign

    @property
    def hour12(self) -> bool:
        """Whether clocks count to twelve: as chosen, else as the language does."""
        return {"12": True, "24": False}.get(
            self.params.get("clock", ""), formats.counts_to_12(self.language.locale)
        )

    def zone(self, fallback: str) -> str:
        """The zone of the address, or of an earlier choice, or ``fallback``: the business's."""
        for name in (self.params.get("tz", ""), self.request.cookies.get(ZONE_COOKIE, "")):
            if found := zones.current(name):
                return found
        return zones.current(fallback) or "UTC"

    @property
    def month(self) -> date | None:
        """The first of the month that is asked for, if that is one."""
        match = _MONTH.fullmatch(self.params.get("month", "") or self.params.get("day", "")[:7])
        if match is None or not (1971 <= int(match[1]) <= 2199 and 1 <= int(match[2]) <= 12):
            return None
        return date(int(match[1]), int(match[2]), 1)

    @property
    def day(self) -> date | None:
        """The day that is asked for, if that is one."""
        try:
            found = date.fromisoformat(self.params.get("day", ""))
        except ValueError:
            return None
        return found if found.replace(day=1) == self.month else None

    def duration(self, offered: tuple[int, ...]) -> int:
        """The length that is asked for, in minutes, or the first that is offered."""
        asked = self.params.get("duration", "")
        return next((minutes for minutes in offered if str(minutes) == asked), offered[0])

    def link(self, path: str, **changes: object) -> str:
        """``path`` with the choices of this visit and ``changes``; an empty change drops a choice."""
        query = self.kept | {name: str(value) for name, value in changes.items()}
        text = urlencode({name: value for name, value in query.items() if value}, safe="/:")
        return f"{path}?{text}" if text else path

    @property
    def client(self) -> str:
        """Where the visitor is, for limits."""
        return rate_limits.network(self.request.client.host) if self.request.client else ""

    def known_visitor(self) -> str:
        """What to count this browser under; a new one gets its cookie now."""
        if found := visitors.known(self.request.cookies.get(visitors.COOKIE, "")):
            return found
        made = visitors.issue(self.client)
        if made:
            self.remember(visitors.COOKIE, made, seconds=visitors.LIFE_SECONDS, path="/")
        return visitors.known(made)

    @cached_property
    def holds(self) -> list[str]:
        """Tokens of this browser's holds on the event type, the latest first: from the address, then the cookie."""
        given = [self.params.get("hold", ""), *self.request.cookies.get(HOLDS_COOKIE, "").split("~")]
        found = []
        for token in given[: MOST_HOLDS + 1]:
            try:
                signed_links.hold_row_id(token)
            except NotFound:
                continue
            if token not in found:
                found.append(token)
        return found

    @property
    def hold_rows(self) -> list[str]:
        """Ids of the rows of :attr:`holds`."""
        return [signed_links.hold_row_id(token) for token in self.holds]

    def remember_hold(self, token: str, path: str) -> None:
        """Keep a hold in a cookie that is sent below ``path`` only."""
        tokens = [token, *(other for other in self.holds if other != token)][:MOST_HOLDS]
        self.remember(HOLDS_COOKIE, "~".join(tokens), seconds=DAY_SECONDS, path=path)

    def remember(self, name: str, value: str, *, seconds: int, path: str, readable: bool = False) -> None:
        """Set a cookie with the answer; ``readable`` by scripts."""
        options: dict[str, object] = {"max_age": seconds, "path": path, "httponly": not readable}
        self.cookies.append((name, value, options))

    def set_cookies(self, response: Response) -> Response:
        """The response, with what is to be remembered."""
        secure = bool(self.cookies) and current_settings().public_url.startswith("https://")
        for name, value, options in self.cookies:
            response.set_cookie(name, value, secure=secure, samesite="lax", **options)  # type: ignore[arg-type]
        return response


def path_of(workspace: str, event_type: str = "") -> str:
    """The address of a booking page."""
    return f"/book/{quote(workspace)}/{quote(event_type)}" if event_type else f"/book/{quote(workspace)}"
