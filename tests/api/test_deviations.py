"""Deviations, the drift report and the workspace's rule over HTTP."""

from __future__ import annotations

import httpx

from tests.services.external_changes.test_resolve import booking, look, move, written
from tests.support import factories
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bearer, bookable, host


def test_a_deviation_is_listed_and_settled(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """By booking, in the whole list and in the report; settled once, and then it is a conflict."""
    made = written(place)
    move(fake, place, made, place.at(12))
    look(place)
    me = bearer(place.people[0])
    (item,) = api.get("/api/v1/deviations", params={"booking_id": made.id}, headers=me).json()["items"]
    assert (item["kind"], item["choices"]) == ("moved", ["follow", "restore", "keep"])
    assert api.get("/api/v1/deviations", headers=me).json()["items"] == [item]
    assert api.get("/api/v1/admin/drift", headers=me).json()["items"] == [item]
    path = f"/api/v1/deviations/{item['id']}/resolve"
    assert api.post(path, json={"how": "burn"}, headers=me).status_code == 422
    assert api.post(path, json={"how": "follow"}, headers=me).json()["resolution"] == "followed"
    assert booking(made).start_at == place.at(12)
    again = api.post(f"/api/v1/admin/drift/{item['id']}", json={"how": "keep"}, headers=me)
    assert (again.status_code, again.json()["code"]) == (409, "state_changed")


def test_others_find_nothing(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """Another workspace's deviation is not there; staff have no report; nobody gets in without credentials."""
    made = written(place)
    move(fake, place, made, place.at(12))
    look(place)
    me = bearer(place.people[0])
    (item,) = api.get("/api/v1/deviations", headers=me).json()["items"]
    stranger = bearer(bookable(fake).people[0])
    path = f"/api/v1/deviations/{item['id']}/resolve"
    assert api.post(path, json={"how": "keep"}, headers=stranger).status_code == 404
    assert api.get("/api/v1/deviations", headers=stranger).json()["items"] == []
    member, _ = host(fake, place.workspace)
    assert api.get("/api/v1/admin/drift", headers=bearer(member)).status_code == 403
    assert api.get("/api/v1/admin/drift").status_code == 401
    assert api.post("/api/v1/admin/drift/run", headers=me).json() == {"connections": 2}


def test_the_rule_is_read_and_changed(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """By admins; what is left out stays; unknown words are refused."""
    me = bearer(place.people[0])
    assert api.get("/api/v1/workspace", headers=me).json() == {
        "outside_moves": "flag",
        "outside_deletes": "flag",
    }
    changed = api.patch("/api/v1/workspace", json={"outside_moves": "reschedule"}, headers=me)
    assert changed.json() == {"outside_moves": "reschedule", "outside_deletes": "flag"}
    assert api.patch("/api/v1/workspace", json={"outside_moves": "cancel"}, headers=me).status_code == 422
    manager = factories.person()
    factories.membership(manager, place.workspace, "manager")
    refused = api.patch("/api/v1/workspace", json={"outside_deletes": "cancel"}, headers=bearer(manager))
    assert refused.status_code == 403


def test_the_end_of_a_connection_can_be_watched(api: httpx.Client, fake: FakeProvider, place: Place) -> None:
    """The answer to the request names the work; its progress is there for those who see the connection."""
    written(place)
    me = bearer(place.people[0])
    path = f"/api/v1/connections/{place.calendars[0].connection_id}"
    assert api.get(f"{path}/disconnection", headers=me).status_code == 404
    answer = api.delete(path, params={"bookings": "cancel"}, headers=me).json()
    assert (answer["state"], answer["cancelled"], answer["revoked"]) == ("done", 1, True)
    shown = api.get(f"{path}/disconnection", headers=me).json()
    assert (shown["id"], shown["total"], shown["done"], shown["state"]) == (answer["id"], 1, 1, "done")
    stranger = bearer(bookable(fake).people[0])
    assert api.get(f"{path}/disconnection", headers=stranger).status_code == 404
