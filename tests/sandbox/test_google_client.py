"""Google's own Python client, unchanged, over real loopback HTTP, with each exchange held to the contract."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import httplib2
import pytest
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from calendar_app.sandbox.environment import CLIENT_ID, CLIENT_SECRET
from tests.contracts import ContractASGI, google_document, requires_google_contract
from tests.sandbox.server import CALENDAR_SCOPE, OWNER, Sandbox, running_sandbox, wait_until
from tests.sandbox.test_push import Receiver, receiver

pytestmark = requires_google_contract
__all__ = ["receiver"]

START = {"dateTime": "2026-11-20T09:00:00+01:00", "timeZone": "Europe/Berlin"}
END = {"dateTime": "2026-11-20T10:00:00+01:00", "timeZone": "Europe/Berlin"}


class Checked:
    """The sandbox with the contract around it, and Google's client for it."""

    def __init__(self, sandbox: Sandbox, contract: ContractASGI, service: Any, http: httplib2.Http) -> None:
        self.sandbox, self.contract, self.service, self.http = sandbox, contract, service, http


@pytest.fixture
def google() -> Iterator[Checked]:
    contracts: list[ContractASGI] = []

    def wrap(app: Any) -> ContractASGI:
        contracts.append(ContractASGI(app))
        return contracts[0]

    with running_sandbox(wrap=wrap) as sandbox:
        tokens = sandbox.tokens()
        credentials = Credentials(
            tokens["access_token"],
            refresh_token=tokens["refresh_token"],
            token_uri=sandbox.environment["GOOGLE_TOKEN_URL"],
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            scopes=[CALENDAR_SCOPE],
        )
        http = httplib2.Http(timeout=10, proxy_info=None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the client's own libraries
            service = build_from_document(
                json.dumps(google_document()),
                http=AuthorizedHttp(credentials, http=http),
                client_options={"api_endpoint": f"{sandbox.api_url}/"},
            )
            yield Checked(sandbox, contracts[0], service, http)
            service.close()
            http.close()
    contracts[0].verify()


def status_of(call: Any) -> int:
    with pytest.raises(HttpError) as caught:
        call.execute()
    return int(caught.value.status_code)


def test_the_whole_story(google: Checked, receiver: Receiver) -> None:
    """List calendars, insert with an own id, 409, pages, sync token, 412, instances, delete, free/busy, watch."""
    service = google.service
    calendars = service.calendarList().list().execute()["items"]
    assert [entry["summary"] for entry in calendars] == [OWNER, "Team"]
    events = service.events()
    channel = {"id": "client-1", "type": "web_hook", "address": receiver.address, "token": "t"}
    watched = events.watch(calendarId="primary", body=channel).execute()
    receiver.expect(1)

    body = {"id": "booking0001", "summary": "Visit", "start": START, "end": END}
    made = events.insert(calendarId="primary", body=body, sendUpdates="none").execute()
    assert made["id"] == "booking0001"
    assert status_of(events.insert(calendarId="primary", body=body)) == 409
    receiver.expect(2)

    seen, request = [], events.list(calendarId="primary", maxResults=3)
    while request is not None:
        page = request.execute()
        seen += [item["id"] for item in page["items"]]
        request = events.list_next(request, page)
    assert len(seen) == len(set(seen)) > 6
    token = page["nextSyncToken"]

    patched = events.patch(calendarId="primary", eventId="booking0001", body={"summary": "Changed"}).execute()
    late = events.patch(calendarId="primary", eventId="booking0001", body={"summary": "Lost"})
    late.headers["If-Match"] = made["etag"]
    assert status_of(late) == 412
    right = events.patch(calendarId="primary", eventId="booking0001", body={"location": "Room 1"})
    right.headers["If-Match"] = patched["etag"]
    assert right.execute()["summary"] == "Changed"
    delta = events.list(calendarId="primary", syncToken=token).execute()
    assert [(item["id"], item["location"]) for item in delta["items"]] == [("booking0001", "Room 1")]

    series = body | {"id": "series0001", "recurrence": ["RRULE:FREQ=WEEKLY;COUNT=3"]}
    events.insert(calendarId="primary", body=series).execute()
    instances = events.instances(calendarId="primary", eventId="series0001").execute()["items"]
    assert instances[0]["id"] == "series0001_20261120T080000Z"
    assert events.delete(calendarId="primary", eventId=instances[1]["id"]).execute() == ""
    assert status_of(events.delete(calendarId="primary", eventId=instances[1]["id"])) == 410

    window = {"timeMin": "2026-11-20T07:00:00Z", "timeMax": "2026-11-20T10:00:00Z", "items": [{"id": OWNER}]}
    busy = service.freebusy().query(body=window).execute()["calendars"][OWNER]["busy"]
    assert busy == [{"start": "2026-11-20T08:00:00Z", "end": "2026-11-20T09:00:00Z"}]

    service.channels().stop(body={"id": "client-1", "resourceId": watched["resourceId"]}).execute()
    assert {call["x-goog-channel-token"] for call in receiver.calls} == {"t"}
    wait_until(lambda: len(set(google.contract.checked)) == 9)


def test_the_rest_of_the_surface(google: Checked) -> None:
    """Every other method the sandbox offers, through the same client."""
    service = google.service
    made = service.calendars().insert(body={"summary": "Rooms"}).execute()["id"]
    service.calendars().patch(calendarId=made, body={"description": "x"}).execute()
    assert service.calendars().get(calendarId=made).execute()["description"] == "x"
    service.calendars().update(calendarId=made, body={"summary": "Halls"}).execute()
    service.calendarList().patch(calendarId=made, body={"colorId": "2"}).execute()
    service.calendarList().update(calendarId=made, body={"selected": True}).execute()
    assert service.calendarList().get(calendarId=made).execute()["colorId"] == "2"
    assert service.colors().get().execute()["kind"] == "calendar#colors"
    assert service.settings().get(setting="timezone").execute()["value"] == "Europe/Berlin"
    events = service.events()
    body = {
        "iCalUID": "u@x",
        "summary": "Imported",
        "start": {"date": "2026-11-20"},
        "end": {"date": "2026-11-21"},
    }
    event_id = events.import_(calendarId="primary", body=body).execute()["id"]
    updated = events.update(
        calendarId="primary", eventId=event_id, body=body | {"summary": "Again"}
    ).execute()
    assert events.get(calendarId="primary", eventId=event_id).execute() == updated
    assert (
        events.move(calendarId="primary", eventId=event_id, destination=made).execute()["organizer"]["email"]
        == made
    )
    found = events.list(
        calendarId=made,
        singleEvents=True,
        orderBy="startTime",
        timeMin="2026-11-19T00:00:00Z",
        showDeleted=False,
    )
    assert [item["id"] for item in found.execute()["items"]] == [event_id]
    service.calendars().delete(calendarId=made).execute()
    assert status_of(service.calendars().get(calendarId=made)) == 404


def test_the_client_refreshes_an_expired_token(google: Checked) -> None:
    """On 401 Google's library refreshes at the token endpoint and repeats the call."""
    google.sandbox.client.post("/sandbox/api/expire-access-tokens", json={})
    assert google.service.calendarList().list().execute()["items"]
    google.sandbox.client.post("/sandbox/api/expire-sync-tokens", json={})
    token = google.service.events().list(calendarId="primary").execute()["nextSyncToken"]
    google.sandbox.client.post("/sandbox/api/expire-sync-tokens", json={})
    assert status_of(google.service.events().list(calendarId="primary", syncToken=token)) == 410
