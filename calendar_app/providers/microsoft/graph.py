"""Requests to Graph: what is preferred of every answer, pages, and links that stay at Graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from calendar_app.errors import CalendarNotFound, EventNotFound, ProviderError, ProviderUnavailable
from calendar_app.providers.http import ProviderHttp, Query
from calendar_app.providers.microsoft.clouds import RESOURCES

Json = Mapping[str, Any]

_PREFER = 'outlook.timezone="UTC", outlook.body-content-type="text"'
_PREFER_HTML = 'outlook.timezone="UTC", outlook.body-content-type="html"'


class Graph:
    """Graph on one access token. ``api_url`` is where it is: links that lead elsewhere are not followed.

    Ids are Graph's default ones, which end when an event leaves its calendar. With ``IdType="ImmutableId"`` an event
    that its owner deleted keeps its id in "Deleted Items" (https://learn.microsoft.com/graph/outlook-immutable-id), and
    would seem to stand.
    """

    def __init__(self, http: ProviderHttp, api_url: str) -> None:
        self._http = http
        self._api = api_url.rstrip("/")

    def json(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Json | None = None,
        match: str = "",
        page_size: int = 0,
        html: bool = False,
    ) -> dict[str, Any]:
        """One request; ``match`` is an etag for ``If-Match``, ``page_size`` the most items that we want at once,
        ``html`` asks for bodies as they are kept, not as text."""
        prefer = _PREFER_HTML if html else _PREFER
        headers = {"prefer": f"odata.maxpagesize={page_size}, {prefer}" if page_size else prefer}
        if match:
            headers["if-match"] = match
        return self._http.json(method, path, query=query, body=body, headers=headers)

    def pages(self, path: str, query: Query) -> Iterator[Sequence[Json]]:
        """The items of every page of a collection."""
        following: Query | None = query
        while True:
            page = self.json("GET", path, query=following)
            yield page.get("value") or ()
            link = page.get("@odata.nextLink")
            if not link:
                return
            path, following = self.local(str(link)), None

    def local(self, link: str, otherwise: ProviderError | None = None) -> str:
        """The path and query of a link into this API; our token must not go anywhere else.

        Behind a proxy, links name Graph itself: their path is asked of the proxy, as all others are.

        :raises ProviderError: ``otherwise``, for another link.
        """
        apis = [self._api]
        if not self._api.startswith(RESOURCES):
            apis += [f"{resource}v1.0" for resource in RESOURCES]
        mine = next((api for api in apis if link.startswith(f"{api}/")), None)
        if mine is None or re.search(r"[\s\\#]", link):
            raise otherwise or ProviderUnavailable(
                "Microsoft sent an answer that cannot be read.", reason="foreign_link"
            )
        return link.removeprefix(mine)


def calendar_path(calendar_id: str) -> str:
    return f"/me/calendars/{quote(calendar_id, safe='')}"


def event_path(calendar_id: str, remote_id: str) -> str:
    return f"{calendar_path(calendar_id)}/events/{quote(remote_id, safe='')}"


def is_default(graph: Graph, calendar_id: str) -> bool:
    """Whether it is the mailbox's default calendar. :raises CalendarNotFound: it is not there."""
    try:
        calendar = graph.json("GET", calendar_path(calendar_id), query={"$select": "id,isDefaultCalendar"})
    except EventNotFound as error:
        raise CalendarNotFound(reason=error.reason) from None
    return bool(calendar.get("isDefaultCalendar"))
