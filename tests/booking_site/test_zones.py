"""Zones by city and country, dates and times by the reader's habits."""

from __future__ import annotations

from datetime import UTC, date, datetime

import httpx
import pytest
from babel import Locale

from calendar_app.domain.zones import is_zone
from calendar_app.services.orders import commands as order_commands
from calendar_app.services.orders.commands import NewLine
from calendar_app.translations import formats, zones
from tests.support.pages import visit
from tests.support.scheduling import Place

DE, GB, US = Locale("de"), Locale("en", "GB"), Locale("en", "US")
SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("wien", "Europe/Vienna"),
        ("Österreich", "Europe/Vienna"),
        ("osterreich", "Europe/Vienna"),
        ("Germany", "Europe/Berlin"),
        ("münchen", "Europe/Berlin"),
        ("San Fran", "America/Los_Angeles"),
        ("india", "Asia/Kolkata"),
        ("calcutta", "Asia/Kolkata"),
        ("America/New_York", "America/New_York"),
        ("new york", "America/New_York"),
        ("kiev", "Europe/Kyiv"),
    ],
)
def test_zones_are_found_by_city_and_country(typed: str, zone: str) -> None:
    """In the reader's language and in English, with accents or without, under old names too."""
    assert zones.search(typed, DE)[0].zone == zone


def test_no_obsolete_zone_is_offered() -> None:
    """Each zone of the list is a current one, and what a browser calls by an old name is understood."""
    offered = [place.zone for place in zones.search("", GB)]
    assert len(offered) > 300
    assert not {"Asia/Calcutta", "US/Eastern", "Europe/Kiev", "GB", "EST"} & set(offered)
    assert all(is_zone(zone) for zone in offered)
    assert zones.current("US/Eastern") == "America/New_York"
    assert zones.current("Mars/Olympus") == zones.current("../x") == zones.current("") == ""
    assert zones.search("zzzz", GB) == []


def test_dates_and_times_follow_the_reader() -> None:
    """Order, clock and the first day of the week are those of the region."""
    at = datetime(2026, 12, 3, 20, 5, tzinfo=UTC)
    assert formats.full_date(date(2026, 12, 3), DE) == "Donnerstag, 3. Dezember 2026"
    assert formats.clock(at, "Europe/Berlin", GB, False) == "21:05"
    assert formats.clock(at, "Europe/Berlin", US, formats.counts_to_12(US)) == "9:05 PM"
    assert formats.clock(at, "Europe/Berlin", US, False) == "21:05"
    assert (formats.weekdays(US)[0][1], formats.weekdays(GB)[0][1]) == ("Sunday", "Monday")
    assert formats.length(90, DE) == "1 Std. 30 Min."
    assert zones.described("Asia/Kolkata", SUMMER, GB) == "Kolkata, India (GMT+5:30)"
    assert zones.described("UTC", SUMMER, GB) == "UTC (GMT)"
    span = formats.span(at, at.replace(hour=23, minute=30), "Europe/Berlin", DE, False)
    assert span == "21:05 – Fr., 4. Dez., 00:30"


def test_a_zone_is_chosen_without_a_script(site: httpx.Client, place: Place) -> None:
    """Search for a city, follow its link: the same day, in that zone."""
    day = place.day.date()
    path = f"/book/{place.workspace.slug}/{place.event_type.slug}"
    page = visit(site, f"{path}?month={day:%Y-%m}&day={day}&tz=Europe/Berlin")
    form = next(each for each in page.forms if each.action.endswith("/zones"))
    found = visit(site, f"{form.action}?{httpx.QueryParams(form.fields | {'q': 'new york'})}")
    shown = visit(site, found.link("New York"))
    assert shown.query["tz"] == "America/New_York"
    assert shown.query["day"] == day.isoformat()
    assert shown.slots[0].label == "03:00"
    assert "New York, United States" in shown.text


def test_languages(site: httpx.Client, place: Place) -> None:
    """By link, then by that choice, then as the browser asks; the choice goes along in every link."""
    path = f"/book/{place.workspace.slug}/{place.event_type.slug}"
    german = visit(site, f"{path}?lang=de&tz=Europe/Berlin")
    assert "Zeitzone:" in german.text
    assert 'lang="de"' in german.html
    assert german.headers["content-language"] == "de"
    assert all("lang=de" in href for href in german.links.values() if href.startswith(f"{path}?month"))
    assert "Zeitzone:" in visit(site, path).text
    assert "Time zone:" in visit(site, f"{path}?lang=en").text
    fresh = httpx.Client(base_url=str(site.base_url), headers={"accept-language": "de-CH, en;q=0.5"})
    with fresh:
        assert "Zeitzone:" in visit(fresh, path).text


def test_right_to_left(site: httpx.Client, place: Place) -> None:
    """The page says its direction, and no sentence stands outside of the catalogues."""
    path = f"/book/{place.workspace.slug}/{place.event_type.slug}?tz=Europe/Berlin"
    page = visit(site, f"{path}&lang=ar-XB")
    assert 'dir="rtl"' in page.html
    plain = set(visit(site, f"{path}&lang=en").text.split("."))
    assert "Other times" not in page.text
    assert "[" in page.text
    assert plain


def test_times_keep_their_order_from_right_to_left(site: httpx.Client, place: Place) -> None:
    """On every page that has one on a line of its own: a span of times would else be read from its end."""
    made = place.book(place.at(10))
    line = NewLine(place.event_type.id, place.at(11))
    token = order_commands.create([line], "Europe/Berlin", "Grace Hopper", "grace@example.org").token
    move = f"/manage/{made.manage_token}/move"
    for path in (f"/manage/{made.manage_token}", move, f"/manage/order/{token}"):
        page = visit(site, f"{path}?lang=ar-XB")
        assert '<bdi class="tabular">' in page.html, path
        assert '<span class="tabular">' not in page.html, path
