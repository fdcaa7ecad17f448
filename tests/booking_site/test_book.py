"""From a booking page to a booking, without JavaScript: every step has an address and can be repeated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, Hold
from calendar_app.services.bookings import holds
from tests.support.fake_provider import FakeProvider
from tests.support.pages import Page, pick, press, request_of, visit
from tests.support.scheduling import Place, assert_consistent, bookable, reservations

GUEST = {"name": "Grace Hopper", "email": "grace@example.org"}


def _path(place: Place) -> str:
    return f"/book/{place.workspace.slug}/{place.event_type.slug}"


def _day(place: Place, **query: str) -> str:
    day = place.day.date()
    query = {"month": f"{day:%Y-%m}", "day": day.isoformat(), "tz": "Europe/Berlin"} | query
    return f"{_path(place)}?{httpx.QueryParams(query)}"


def test_a_customer_books(site: httpx.Client, place: Place) -> None:
    """The first answer holds month and times; a time leads to a form, the form to a confirmation that can be loaded
    again, and that to the booking."""
    page = visit(site, _path(place))
    assert page.status == 200
    assert page.slots, page.text
    assert "Intro call" in page.text
    page = visit(site, _day(place))
    assert [slot.label for slot in page.slots][:2] == ["09:00", "09:30"]
    form = pick(site, page, place.at(10).isoformat())
    assert "/hold/" in form.path
    assert "10:00 – 10:30" in form.text
    assert "We keep this time for you until" in form.text
    done = press(site, form, "Confirm booking", **GUEST)
    assert "You are booked" in done.text
    assert "/booked/" in done.path
    again = visit(site, done.url)
    assert "You are booked" in again.text
    managed = visit(site, done.link("Change or cancel it"))
    assert "Your booking" in managed.text
    assert "10:00 – 10:30" in managed.text
    assert len(assert_consistent()) == 1


def test_nothing_is_kept_by_reading(site: httpx.Client, place: Place) -> None:
    """Previews and crawlers follow links; no link keeps a time."""
    page = visit(site, _path(place))
    for href in page.links.values():
        if href.startswith("/"):
            visit(site, href)
    visit(site, f"{_path(place)}/hold")
    assert reservations() == []
    with reading() as session:
        assert session.exec(select(Hold)).all() == []


def test_pressing_twice_and_sending_twice(site: httpx.Client, other: httpx.Client, place: Place) -> None:
    """Two presses of a time keep it once, two of "Confirm" make one booking, also when no cookie is kept."""
    page = visit(site, _day(place))
    button = page.slots[2]
    address, data = request_of(page, button)
    first, second = site.post(address, data=data), other.post(address, data=data)
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    form = Page(site.get(first.headers["location"]))
    address, data = request_of(form, form.button("Confirm booking"), **GUEST)
    answers = [browser.post(address, data=data) for browser in (site, other, site)]
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(assert_consistent()) == 1


def test_a_form_s_address_lends_nothing_but_the_form(
    site: httpx.Client, other: httpx.Client, place: Place
) -> None:
    """Who is sent the address of a form sees the form; once it is booked, neither the address nor sending the form
    opens the booking to somebody who does not know whom it is for."""
    form = pick(site, visit(site, _day(place)))
    assert visit(other, form.url).status == 200
    token = form.path.rpartition("/")[2]
    assert other.delete(f"/api/v1/holds/{token}").status_code == 404
    press(site, form, "Confirm booking", **GUEST)
    shown = visit(other, form.url)
    assert shown.status == 409
    assert "This time has been booked" in shown.text
    assert "/manage/" not in shown.html
    stranger = press(other, form, "Confirm booking", name="Mallory", email="mallory@example.org")
    assert stranger.status == 409
    assert "/manage/" not in stranger.html
    assert "You are booked" in visit(site, form.url).text


def test_ones_own_time_stays_and_others_do_not_see_it(
    site: httpx.Client, other: httpx.Client, place: Place
) -> None:
    """Going back from the form shows the time still, with and without a cookie; others do not get it; choosing another
    one gives it back."""
    page = visit(site, _day(place))
    mine = page.slots[0]
    form = pick(site, page, mine.value)
    assert mine.value in [slot.value for slot in visit(site, _day(place)).slots]
    assert mine.value not in [slot.value for slot in visit(other, _day(place)).slots]
    back = Page(other.get(form.link("Other times")))
    assert mine.value in [slot.value for slot in back.slots]
    moved = pick(other, back, back.slots[1].value)
    assert "/hold/" in moved.path
    assert len(reservations()) == 1


def test_two_tabs(site: httpx.Client, place: Place) -> None:
    """Two tabs choose two times: the later one takes the place of the earlier, whose form can still be sent."""
    first = pick(site, visit(site, _day(place)), place.at(10).isoformat())
    second = pick(site, visit(site, _day(place)), place.at(12).isoformat())
    assert len(reservations()) == 1
    assert "10:00 – 10:30" in first.text
    assert "You are booked" in press(site, second, "Confirm booking", **GUEST).text
    late = press(site, first, "Confirm booking", **GUEST)
    assert "You are booked" in late.text
    assert [row.start_at for row in assert_consistent()] == [
        place.at(12).astimezone(UTC),
        place.at(10).astimezone(UTC),
    ]


def test_a_time_that_was_taken(site: httpx.Client, other: httpx.Client, place: Place) -> None:
    """Who is second is told so beside fresh times."""
    page = visit(site, _day(place))
    pick(other, visit(other, _day(place)), page.slots[1].value)
    told = pick(site, page, page.slots[1].value)
    assert "just taken by somebody else" in told.text
    assert page.slots[1].value not in [slot.value for slot in told.slots]
    assert told.slots


def test_a_form_whose_time_was_lost_keeps_what_was_typed(site: httpx.Client, place: Place) -> None:
    """The hold ran out and somebody else was quicker: the form stays, offers other times, and books one of them."""
    form = pick(site, visit(site, _day(place)), place.at(10).isoformat())
    _let_run_out()
    late = visit(site, form.url)
    assert "no longer kept for you" in late.text
    place.book(place.at(10), guest=("Quick", "quick@example.org"))
    told = press(site, late, "Confirm booking", **GUEST)
    assert told.status == 409
    assert "just taken" in told.text
    assert told.form("form").fields["name"] == GUEST["name"]
    moved = press(site, told, "10:30", **GUEST)
    assert moved.status == 200
    assert "10:30 – 11:00" in moved.text
    assert moved.form("form").fields["email"] == GUEST["email"]
    done = press(site, moved, "Confirm booking")
    assert "You are booked" in done.text
    assert len(assert_consistent()) == 2


def test_a_hold_that_ran_out_is_kept_again(site: httpx.Client, place: Place) -> None:
    """One press keeps the time once more, with what was typed."""
    form = pick(site, visit(site, _day(place)), place.at(10).isoformat())
    _let_run_out()
    again = press(site, visit(site, form.url), "Keep this time again", **GUEST)
    assert "We keep this time for you until" in again.text
    assert again.form("form").fields["name"] == GUEST["name"]
    assert "You are booked" in press(site, again, "Confirm booking").text


def test_a_form_of_yesterday(site: httpx.Client, place: Place) -> None:
    """Its hold is deleted: loading it says so, sending it still books, once."""
    form = pick(site, visit(site, _day(place)), place.at(10).isoformat())
    _let_run_out()
    holds.expire(datetime.now(UTC) + timedelta(days=2))
    assert visit(site, form.url).status == 410
    address, data = request_of(form, form.button("Confirm booking"), **GUEST)
    answers = [site.post(address, data=data) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303], answers[0].text
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(assert_consistent()) == 1


def test_what_is_wrong_is_said_beside_its_field(site: httpx.Client, fake: FakeProvider) -> None:
    """All that is wrong at once, and nothing of what was typed is lost."""
    questions = [
        {"id": "topic", "label": "Topic?", "type": "textarea", "required": True},
        {"id": "size", "label": "Size?", "type": "select", "options": ["Small", "Large"]},
        {"id": "count", "label": "How many?", "type": "number", "minimum": 1, "maximum": 5},
    ]
    place = bookable(fake, questions=questions)
    form = pick(site, visit(site, _day(place)))
    wrong = press(site, form, "Confirm booking", name="", email="grace", **{"answer-topic": "<b>Engines</b>"})
    assert wrong.status == 422
    assert "Please enter your name" in wrong.text
    assert "e-mail address like" in wrong.text
    assert wrong.form("form").fields["answer-topic"] == "<b>Engines</b>"
    assert "<b>Engines" not in wrong.html
    many = {"answer-topic": "x", "answer-count": "7"}
    wrong = press(site, form, "Confirm booking", **GUEST, **many)
    assert "Please enter a number from 1 to 5." in wrong.text
    done = press(site, wrong, "Confirm booking", **{"answer-count": "3"})
    assert "You are booked" in done.text
    assert assert_consistent()[0].answers == {"topic": "x", "count": 3}


def test_approval_is_said_before_and_after(site: httpx.Client, fake: FakeProvider) -> None:
    """A request is called one, and its confirmation says that it waits."""
    place = bookable(fake, requires_approval=True)
    page = visit(site, _day(place))
    assert "Needs the host’s approval" in page.text
    done = press(site, pick(site, page), "Send request", **GUEST)
    assert "Your request is in" in done.text


def test_a_stale_calendar_is_told_before_anybody_confirms(site: httpx.Client, place: Place) -> None:
    """Who opened the form before is told when they confirm, and confirms again."""
    from calendar_app.db.tables import Calendar

    form = pick(site, visit(site, _day(place)))
    assert "So this is a request" not in form.text
    with transaction() as session:
        session.get_one(Calendar, place.calendars[0].id).synced_at = datetime.now(UTC) - timedelta(hours=2)
    told = press(site, form, "Confirm booking", **GUEST)
    assert told.status == 409
    assert "So this is a request" in told.text
    assert assert_consistent() == []
    assert "Your request is in" in press(site, told, "Send request").text


def test_seats(site: httpx.Client, fake: FakeProvider) -> None:
    """A group shows what is left, and keeps no time."""
    place = bookable(fake, seats=3)
    form = pick(site, visit(site, _day(place)))
    assert "We keep this time" not in form.text
    assert "no longer kept" not in form.text
    press(site, form, "Confirm booking", **GUEST)
    assert "2 seats left" in visit(site, _day(place)).slots[0].label


def test_other_lengths(site: httpx.Client, fake: FakeProvider) -> None:
    """A length is a link, and stays chosen through to the booking."""
    place = bookable(fake, durations=[30, 60])
    page = visit(site, _day(place))
    hour = visit(site, page.link("1 hr") if "1 hr" in page.links else page.link("1 h"))
    assert hour.query["duration"] == "60"
    page = visit(site, _day(place, duration="60"))
    done = press(site, pick(site, page, place.at(10).isoformat()), "Confirm booking", **GUEST)
    assert "10:00 – 11:00" in done.text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"month": "2026-13", "day": ""}, "does not exist"),
        ({"month": "0000-00", "day": ""}, "does not exist"),
        ({"day": "2026-02-31", "month": ""}, ""),
        ({"month": "1999-01", "day": ""}, ""),
        ({"month": "2199-12", "day": ""}, ""),
        ({"duration": "31"}, "not offered"),
        ({"duration": "9" * 400}, "not offered"),
        ({"tz": "Mars/Olympus"}, "does not exist"),
        ({"tz": "../../etc/passwd"}, "does not exist"),
        ({"hold": "x" * 5_000}, ""),
        ({"lang": "<script>"}, ""),
        ({"clock": "\x00"}, ""),
    ],
)
def test_odd_addresses(site: httpx.Client, place: Place, query: dict[str, str], words: str) -> None:
    """A link that asks for what is not there shows what is, and says so."""
    page = visit(site, _day(place, **query))
    assert page.status == 200
    assert words in page.text
    assert "<script>" not in page.html.replace("<script src", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"start": "2001-01-01T10:00:00+00:00"},
        {"start": "never"},
        {"start": "2031-01-06T10:00:00"},
        {"start": "9999-12-31T23:59:59+00:00"},
        {},
        {"duration": "31"},
        {"tz": "Mars/Olympus"},
        {"key": "x" * 100_000},
        {"hold": "\x00"},
    ],
)
def test_odd_times(site: httpx.Client, place: Place, fields: dict[str, str]) -> None:
    """Whatever a form sends: words, and no server error."""
    valid = (
        {"start": place.at(10).isoformat(), "key": "k", "tz": "Europe/Berlin"}
        if "start" not in fields
        else {}
    )
    answer = site.post(f"{_path(place)}/hold", data=valid | fields if fields else {})
    assert answer.status_code in (303, 404, 409, 422), answer.text
    if answer.status_code != 303:
        assert answer.headers["content-type"].startswith("text/html")


def test_hostile_forms(site: httpx.Client, place: Place) -> None:
    """A megabyte of notes, a thousand fields, controls and files: clear pages, and nothing is booked."""
    form = pick(site, visit(site, _day(place)))
    address, data = request_of(form, form.button("Confirm booking"), **GUEST)
    large = site.post(address, data=data | {"name": "x" * 1_100_000})
    assert (large.status_code, large.headers["content-type"]) == (413, "text/html; charset=utf-8")
    assert "That was too much" in large.text
    for bad in (
        {"name": "x" * 900_000},
        {"name": "a\r\nBcc: x"},
        {"name": "\x00"},
        {"email": "a@b\r\nc"},
        {"answer-nothing": "x"},
        {f"answer-{number}": "x" for number in range(1_000)},
    ):
        answer = site.post(address, data=data | bad)
        assert 400 <= answer.status_code < 500, answer.status_code
        assert answer.headers["content-type"].startswith("text/html")
    assert assert_consistent() == []
    files = site.post(address, data=data, files={"name": ("x.txt", b"x")})
    assert files.status_code < 500


def _let_run_out() -> None:
    """Ten minutes pass for every hold."""
    from calendar_app.db.tables import HostReservation

    with transaction() as session:
        for hold in session.exec(select(Hold)):
            hold.expires_at -= holds.LASTS + timedelta(seconds=1)
            session.add(hold)
        for claim in session.exec(select(HostReservation)):
            if claim.expires:
                claim.expires -= int(holds.LASTS.total_seconds()) + 1
                session.add(claim)


def test_the_booking_keeps_the_page_s_language(site: httpx.Client, place: Place) -> None:
    """Emails are written in it, with the habits of the region that the browser named."""
    page = visit(site, _day(place, lang="de"))
    press(site, pick(site, page, place.at(10).isoformat()), "Verbindlich buchen", **GUEST)
    site.cookies.clear()
    site.headers["accept-language"] = "en-GB"
    form = pick(site, visit(site, _day(place)), place.at(11).isoformat())
    press(site, form, "Confirm booking", **GUEST)
    with reading() as session:
        query = select(Booking.language).order_by(Booking.start_at)
        assert list(session.exec(query)) == ["de", "en-GB"]
