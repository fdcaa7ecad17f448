"""Booking pages inside of other sites: the script for them, what an address fills in, and what a frame keeps."""

from __future__ import annotations

import gzip

import httpx
import pytest
from sqlmodel import select

from calendar_app.booking_site import answers
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, EventType
from calendar_app.services.bookings import queries
from tests.support.pages import pick, press, visit
from tests.support.scheduling import Place

SHOP = "https://shop.example"
MARKUP = '"><script>alert(1)</script>'


def _path(place: Place) -> str:
    return f"/book/{place.workspace.slug}/{place.event_type.slug}"


def test_the_script_is_small(site: httpx.Client, settings: object) -> None:
    """Under 8 KB as it is, under 3 KB over the wire, for every site, and asked for again when it may have changed."""
    script = site.get("/embed.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cross-origin-resource-policy"] == "cross-origin"
    assert len(script.content) < 8_000
    found = answers.static_file("embed.js")
    assert found is not None
    assert gzip.decompress(found[1]) == script.content
    assert len(found[1]) < 3_000
    again = site.get("/embed.js", headers={"If-None-Match": script.headers["etag"]})
    assert again.status_code == 304


def test_a_frame_books_without_cookies_and_keeps_what_its_address_says(
    site: httpx.Client, place: Place
) -> None:
    """What the address fills in is in the form, where the customer came from is with the booking and told to staff
    alone; neither name nor address stands in the confirmation's address, and its link opens a new tab."""
    with transaction() as session:
        row = session.get_one(EventType, place.event_type.id)
        row.questions = [{"id": "q1", "label": "Why?", "type": "text", "required": False}]
        session.add(row)
    query = {"embed": SHOP, "name": "Grace Hopper", "email": "grace@example.org", "answer-q1": "Compilers"}
    query |= {"utm_source": "letter", "utm_campaign": "spring", "lang": "de", "tz": "Europe/Berlin"}
    page = visit(site, f"{_path(place)}?{httpx.QueryParams(query)}")
    assert f'class="framed" data-around="{SHOP}"' in page.html
    site.cookies.clear()
    form = pick(site, page)
    site.cookies.clear()
    assert form.form("form").fields["answer-q1"] == "Compilers"
    done = press(site, form, "Verbindlich buchen")
    assert done.status == 200, done.text
    assert "/booked/" in done.path
    assert not {"name", "email", "utm_source", "answer-q1"} & set(done.query)
    assert done.query["embed"] == SHOP
    assert 'target="_blank"' in done.html
    with reading() as session:
        row = session.exec(select(Booking)).one()
    assert (row.name, row.answers) == ("Grace Hopper", {"q1": "Compilers"})
    assert row.campaign == {"utm_source": "letter", "utm_campaign": "spring"}
    assert queries.get(place.owner, row.id).campaign == row.campaign
    assert queries.by_token(done.path.rpartition("/")[2]).campaign == {}
    manage = next(href for href in done.links.values() if href.startswith("/manage/"))
    assert "embed" not in manage


def test_searching_a_zone_keeps_what_is_filled_in(site: httpx.Client, place: Place) -> None:
    """A form that asks by GET replaces its address's query, so it carries everything in fields."""
    page = visit(site, f"{_path(place)}?embed={SHOP}&name=Grace&utm_source=x")
    search = next(form for form in page.forms if form.method == "get")
    assert {"embed": SHOP, "name": "Grace", "utm_source": "x"}.items() <= search.fields.items()
    zones = visit(site, f"{search.action}?{httpx.QueryParams(search.fields | {'q': 'Tokyo'})}")
    back = next(href for words, href in zones.links.items() if "Tokyo" in words)
    assert "name=Grace" in back
    assert "embed=" in back


@pytest.mark.parametrize(
    "query",
    [
        {"name": MARKUP, "email": MARKUP, "answer-q1": MARKUP, "utm_source": MARKUP, "embed": MARKUP},
        {f"answer-{number}": "x" * 2_000 for number in range(10)} | {"name": "y" * 5_000},
        {"name": "\x00\r\n\u202e", "utm_source": "\x00\r\n", "utm_campaign": "z" * 5_000, "embed": "*"},
    ],
    ids=["markup", "long", "controls"],
)
def test_hostile_addresses_fill_in_text(site: httpx.Client, place: Place, query: dict[str, str]) -> None:
    """Markup is text, what is too long is cut, and only an origin is told what happens in the frame."""
    page = visit(site, f"{_path(place)}?{httpx.QueryParams(query)}")
    assert page.status == 200
    form = pick(site, page)
    assert form.status == 200
    for html in (page.html, form.html):
        assert "<script>alert" not in html
        assert "data-around" not in html
    done = press(site, form, "Confirm booking", name="Grace", email="grace@example.org")
    assert "You are booked" in done.text
    with reading() as session:
        kept = session.exec(select(Booking)).one().campaign
    assert all(len(value) <= 200 and value.isprintable() for value in kept.values())
