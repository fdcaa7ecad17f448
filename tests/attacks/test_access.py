"""Every operation of the OpenAPI document, asked by everybody who must not have it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import SQLModel, select

from calendar_app.api.app import create_v1
from calendar_app.db.ids import new_id
from calendar_app.db.session import reading
from calendar_app.db.tables import (
    ApiToken,
    AuditEntry,
    AuthSession,
    BookingLink,
    CustomerOrder,
    Deviation,
    Event,
    Hold,
    IdempotencyRecord,
    Invitation,
    Person,
    Schedule,
)
from calendar_app.domain.webhook import DeliveryState, WebhookEvent
from calendar_app.services.accounts import authentication
from calendar_app.services.common.permissions import Role
from calendar_app.services.webhooks import messages, subscriptions
from tests.attacks.access import ADMIN, ENTRIES, MANAGER, OWN, PUBLIC, STAFF, Entry
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import FakeProvider
from tests.support.scheduling import Place, bearer, bookable, host

MARK = "Xq7victim"
"""In every text of the victim's that nobody else may read."""
LATER = datetime.now(UTC) + timedelta(days=5)


def _operations() -> dict[str, list[str]]:
    """Each operation with the names of its path parameters."""
    paths = create_v1().openapi()["paths"]
    return {
        f"{method.upper()} {path}": re.findall(r"{(\w+)}", path)
        for path, item in paths.items()
        for method in item
    }


OPERATIONS = _operations()
WITH_IDS = [name for name, ids in OPERATIONS.items() if set(ids) - {"provider"}]


@dataclass
class Victim:
    """A workspace with one of everything; ``ids`` by the name of the path parameter."""

    place: Place
    ids: dict[str, str]


@pytest.fixture
def fake(database: Database) -> Iterator[FakeProvider]:
    with FakeProvider().installed() as provider:
        yield provider


@pytest.fixture
def victim(fake: FakeProvider) -> Victim:
    place = bookable(fake, title=f"Secret {MARK}", is_public=False)
    person, calendar = place.people[0], place.calendars[0]
    booking = factories.booking(
        place.event_type, person, LATER, name=f"Guest {MARK}", email=f"{MARK}@example.org"
    )
    event = Event(calendar_id=calendar.id, remote_id="r1", summary=f"Event {MARK}", payload={})
    order = CustomerOrder(workspace_id=place.workspace.id, **_order())
    rows: dict[str, SQLModel] = {
        "event_id": event,
        "order_id": order,
        "hold_id": Hold(
            event_type_id=place.event_type.id,
            visitor="0" * 64,
            start_at=LATER,
            end_at=LATER + timedelta(minutes=30),
            created_at=datetime.now(UTC),
            expires_at=LATER,
        ),
        "deviation_id": Deviation(
            workspace_id=place.workspace.id,
            booking_id=booking.id,
            calendar_id=calendar.id,
            kind="moved",
            found_at=datetime.now(UTC),
            detail={},
        ),
        "link_id": BookingLink(event_type_id=place.event_type.id, label=MARK, created_at=datetime.now(UTC)),
        "invitation_id": Invitation(
            workspace_id=place.workspace.id,
            email=f"{MARK}@example.org",
            role="staff",
            token_hash="1" * 64,
            invited_by=person.id,
            created_at=datetime.now(UTC),
            expires_at=LATER,
        ),
        "token_id": ApiToken(person_id=person.id, name=MARK, token_hash="2" * 64, scopes=["*"]),
        "session_id": _session(person),
    }
    ids = {name: str(factories.save(row).id) for name, row in rows.items()}  # type: ignore[attr-defined]
    ids |= _webhook(place)
    with reading() as session:
        schedule = session.exec(select(Schedule).where(Schedule.person_id == person.id)).one()
    ids |= {
        "booking_id": booking.id,
        "calendar_id": calendar.id,
        "connection_id": calendar.connection_id,
        "event_type_id": place.event_type.id,
        "schedule_id": schedule.id,
        "person_id": person.id,
        "workspace_id": place.workspace.id,
        "workspace_slug": place.workspace.slug,
        "provider": "google",
        "secret": "made-up-secret",
        "own_id": "made-up",
    }
    return Victim(place, ids)


def _webhook(place: Place) -> dict[str, str]:
    url = "https://hooks.example/"
    made = subscriptions.create(place.owner, url, ["booking.created"], MARK)
    message = messages.new_message(
        place.workspace.id, WebhookEvent.BOOKING_CREATED, new_id(), {"name": MARK}, datetime.now(UTC)
    )
    sent = messages.delivery_of(factories.save(message), made.id, DeliveryState.FAILED)
    return {"webhook_id": made.id, "delivery_id": factories.save(sent).id}


def _order() -> dict[str, Any]:
    return {"name": f"Orderer {MARK}", "email": f"{MARK}@example.org", "timezone": "UTC"}


def _session(person: Person) -> AuthSession:
    return AuthSession(
        person_id=person.id,
        token_hash=authentication.digest(new_id()),
        created_at=datetime.now(UTC),
        expires_at=LATER,
        last_seen_at=datetime.now(UTC),
    )


def ask(
    api: httpx.Client, operation: str, ids: dict[str, str], headers: dict[str, str], **query: str
) -> httpx.Response:
    """A request that is valid but for the caller."""
    method, path = operation.split(" ")
    entry = ENTRIES.get(operation, Entry(PUBLIC))
    return api.request(
        method,
        "/api/v1" + path.format(**ids),
        params={**(entry.query or {}), **query},
        json=entry.body,
        headers=headers,
    )


def _everything() -> dict[str, list[str]]:
    """All rows of all tables, but those that record mere asking."""
    quiet = {AuditEntry.__tablename__, IdempotencyRecord.__tablename__}
    with reading() as session:
        return {
            table.name: sorted(
                repr([value for column, value in row._mapping.items() if column != "last_used_at"])
                for row in session.execute(table.select())
            )
            for table in SQLModel.metadata.sorted_tables
            if table.name not in quiet
        }


def _is_empty_list(answer: httpx.Response) -> bool:
    """What a public list says of a business that shows nothing to the public."""
    return answer.status_code == 200 and answer.json() == {"items": [], "next": None}


def test_every_operation_has_an_entry() -> None:
    """The table of access is complete, and holds nothing that is gone."""
    assert set(OPERATIONS) == set(ENTRIES)


def test_an_owner_of_another_workspace_gets_nothing(
    api: httpx.Client, fake: FakeProvider, victim: Victim, record_property: Any
) -> None:
    """Every operation that names an object, with the victim's ids: not found, nothing told, nothing changed."""
    attacker = bearer(bookable(fake).people[0])
    before = _everything()
    wrong = []
    for operation in WITH_IDS:
        answer = ask(api, operation, victim.ids, attacker)
        if _is_empty_list(answer):
            continue
        if answer.status_code not in (404, 403, 422, 405) or MARK in answer.text:
            wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
        if answer.status_code == 422:
            wrong.append(f"{operation}: the request was not valid, so nothing is shown: {answer.text[:300]}")
    assert not wrong, "\n".join(wrong)
    assert _everything() == before
    record_property("count", f"{len(WITH_IDS)} operations by a stranger")


@pytest.mark.parametrize("how", ["query", "header"])
def test_naming_a_foreign_workspace_opens_nothing(
    api: httpx.Client, fake: FakeProvider, victim: Victim, how: str
) -> None:
    """`?workspace=` and `X-Workspace` with the victim's slug or id."""
    attacker = bearer(bookable(fake).people[0])
    before = _everything()
    wrong = []
    for operation, entry in ENTRIES.items():
        if entry.role in (PUBLIC, OWN):
            continue
        for name in (victim.place.workspace.slug, victim.place.workspace.id):
            headers = attacker | ({"X-Workspace": name} if how == "header" else {})
            query = {"workspace": name} if how == "query" else {}
            answer = ask(api, operation, victim.ids, headers, **query)
            told = answer.json().get("errors") if answer.status_code == 422 else None
            takes_no_workspace = told and told[0]["field"] == "workspace"
            if answer.status_code not in (404, 403) and not takes_no_workspace:
                wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)
    assert _everything() == before


def test_nobody_gets_in_without_credentials(api: httpx.Client, victim: Victim, record_property: Any) -> None:
    """401 wherever a person is needed; public operations keep the victim's secrets without their token."""
    before = _everything()
    wrong = []
    for operation, entry in ENTRIES.items():
        answer = ask(api, operation, victim.ids, {})
        if entry.role == PUBLIC:
            if _is_empty_list(answer):
                continue
            if answer.is_success or answer.status_code >= 500 or MARK in answer.text:
                wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
        elif answer.status_code != 401:
            wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)
    assert _everything() == before
    record_property("count", f"{len(ENTRIES)} operations by nobody")


@pytest.mark.parametrize(
    ("role", "allowed"), [("staff", {STAFF, OWN, PUBLIC}), ("manager", {STAFF, MANAGER, OWN, PUBLIC})]
)
def test_lesser_roles_are_refused(
    api: httpx.Client, fake: FakeProvider, victim: Victim, role: str, allowed: set[str]
) -> None:
    """Members of the same workspace are refused what needs a higher role."""
    member, _ = host(fake, victim.place.workspace, Role(role))
    wrong = []
    for operation, entry in ENTRIES.items():
        if entry.role in allowed:
            continue
        answer = ask(api, operation, victim.ids, bearer(member))
        if answer.status_code not in (403, 404):
            wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)
    assert ADMIN not in allowed


def test_colleagues_private_objects_stay_theirs(
    api: httpx.Client, fake: FakeProvider, victim: Victim
) -> None:
    """A staff member does not read or change a colleague's connection, calendar, schedule, session or token."""
    member, _ = host(fake, victim.place.workspace)
    wrong = []
    for operation in WITH_IDS:
        names = set(OPERATIONS[operation])
        if not names & {"connection_id", "calendar_id", "schedule_id", "session_id", "token_id"}:
            continue
        answer = ask(api, operation, victim.ids, bearer(member))
        if answer.is_success or MARK in answer.text:
            wrong.append(f"{operation}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)
