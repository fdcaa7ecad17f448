"""What Exchange and the services around it do to a body that an application wrote.

Source: https://learn.microsoft.com/graph/api/event-update ("body property and online meetings": the block has to be
kept), https://learn.microsoft.com/defender-office-365/safe-links-about (links lead through Safe Links). The layout is
that of events which people show in public issues.
"""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]

_JOIN = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_"
_LINE = "_" * 80
_ADDRESS = re.compile(
    r"(?P<web>https?://[^\s<>&]+(?:&amp;[^\s<>&]+)*)|(?P<mail>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
)
_PLACE = "Microsoft Teams Meeting"


def rewritten(body: Json) -> Json:
    """The event's body with its text laid out anew and a Teams meeting in it; as it is if that was done already."""
    if has_block(body["body"]):
        return body
    meeting = {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
    return with_block(body | meeting, links=True)


def join_link(meeting: str) -> str:
    """Where the meeting of that name is joined."""
    return f"{_JOIN}{meeting}%40thread.v2/0"


def has_block(body: Json) -> bool:
    """Whether an ``itemBody`` says how to join a meeting."""
    return _JOIN in str(body.get("content"))


def with_block(body: Json, *, links: bool = False) -> Json:
    """The event's body with the block of its meeting below its text, and the meeting as its place. ``links``: addresses
    in a text become links through Safe Links."""
    content = str(body["body"].get("content") or "")
    if str(body["body"].get("contentType", "html")).lower() == "text":
        content = html.escape(content, quote=False).replace("\n", "<br>\r\n")
        content = _ADDRESS.sub(_linked, content) if links else content
        content = f'<div class="elementToProof" style="font-size:11pt">{content}</div>'
    place = str((body["location"] or {}).get("displayName") or "")
    if _PLACE not in place:
        place = f"{place}; {_PLACE}" if place else _PLACE
    block = _block(str(body.get("join") or join_link("sandbox")))
    return body | {
        "body": {
            "contentType": "html",
            "content": f"<html><head></head><body>{content}{block}</body></html>",
        },
        "location": (body["location"] or {}) | {"displayName": place},
    }


def _linked(found: re.Match[str]) -> str:
    shown = found[0]
    if found["mail"]:
        return f'<a href="mailto:{shown}">{shown}</a>'
    wrapped = quote(html.unescape(shown), safe="")
    address = f"https://eur01.safelinks.protection.outlook.com/?url={wrapped}&amp;data=05%7C02&amp;reserved=0"
    return f'<a href="{address}" originalsrc="{shown}">{shown}</a>'


def _block(link: str) -> str:
    return (
        f'<br><div style="width:100%"><span style="white-space:nowrap">{_LINE}</span></div>'
        '<div class="me-email-text" lang="en-US"><div><span>Microsoft Teams</span> '
        '<a href="https://aka.ms/JoinTeamsMeeting?omkt=en-US">Need help?</a></div>'
        f'<div><a href="{link}">Join the meeting now</a></div><div>Meeting ID: 262 000 000</div></div>'
        f'<div style="width:100%"><span style="white-space:nowrap">{_LINE}</span></div>'
    )
