"""The fields of the form beside name, e-mail and questions, without JavaScript."""

from __future__ import annotations

import httpx
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import Booking
from calendar_app.services.event_types import commands
from tests.support.pages import Page, pick, press, visit
from tests.support.scheduling import Place

GUEST = {"name": "Grace Hopper", "email": "grace@example.org"}


def _form(site: httpx.Client, place: Place) -> Page:
    commands.update_event_type(
        place.owner,
        place.event_type.id,
        {
            "meeting_places": [
                {"kind": "host_calls"},
                {"kind": "link", "value": "https://meet.example.org/secret"},
            ],
            "form_parts": dict.fromkeys(("guests", "booked_by", "phone", "notes"), "optional"),
        },
    )
    day = place.day.date()
    query = httpx.QueryParams({"month": f"{day:%Y-%m}", "day": day.isoformat(), "tz": "Europe/Berlin"})
    page = visit(site, f"/book/{place.workspace.slug}/{place.event_type.slug}?{query}")
    assert "secret" not in page.text
    assert "Phone: we call you" in page.text, page.text
    form = pick(site, page, place.at(10).isoformat())
    assert "secret" not in form.text
    return form


def _bookings() -> list[Booking]:
    with reading() as session:
        return list(session.exec(select(Booking)))


def test_everything_is_filled_in(site: httpx.Client, place: Place) -> None:
    """The confirmation and the booking's page say where, with whom and for whom."""
    done = press(
        site,
        _form(site, place),
        "Confirm booking",
        meeting_place="link",
        country="DE",
        phone="030 1234567",
        guests="a@example.org, b@example.org",
        notes="By the lift",
        booked_by_name="Ada",
        booked_by_email="ada@example.org",
        **GUEST,
    )
    managed = visit(site, done.link("Change or cancel it"))
    for page in (done, managed):
        for said in (
            "https://meet.example.org/secret",
            "+49 30 1234567",
            "a@example.org, b@example.org",
            "By the lift",
            "booked by Ada",
        ):
            assert said in page.text, (said, page.text)


def test_everything_that_is_wrong_is_said(site: httpx.Client, place: Place) -> None:
    """All at once, each beside its field, with what was typed; nothing is booked."""
    page = press(
        site,
        _form(site, place),
        "Confirm booking",
        meeting_place="",
        phone="12",
        guests=", ".join(f"g{number}@example.org" for number in range(1000)),
        notes="<b>kept</b>",
        **GUEST,
    )
    assert page.status == 422
    for said in (
        "Please choose where to meet.",
        "Please enter a phone number with its country",
        "one to 10 guests",
    ):
        assert said in page.text, (said, page.text)
    assert "&lt;b&gt;kept&lt;/b&gt;" in page.html
    assert _bookings() == []
    again = press(site, page, "Confirm booking", meeting_place="host_calls", phone="", guests="", **GUEST)
    assert "Please enter a phone number with its country" in again.text
    done = press(site, again, "Confirm booking", meeting_place="host_calls", phone="+49 30 1234567", **GUEST)
    assert "We call you at +49 30 1234567." in done.text
    assert len(_bookings()) == 1
