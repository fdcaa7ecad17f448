"""What those who run a workspace see and do, and what only operators of the installation may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.job import Job

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, CalendarWrite, Channel, Mail
from calendar_app.services.accounts import authentication, passwords
from calendar_app.services.common import audit_log
from calendar_app.services.common.permissions import Role
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.factories import Team
from tests.support.people import problem, user

ADMIN = "/api/v1/admin"
PATHS = ("connections", "channels", "dead-letters")


def signed_in(team: Team) -> dict[str, str]:
    """A bearer token of the team's member."""
    with transaction() as session:
        person = session.get(type(team.person), team.person.id)
        assert person is not None
        person.password_hash = passwords.hashed("correct horse battery")
    token, _ = authentication.issue_api_token(team.person.email, "correct horse battery")
    return {"Authorization": f"Bearer {token}"}


def parked_write(team: Team, **columns: object) -> CalendarWrite:
    """A calendar write that gave up."""
    kind = factories.event_type(team.workspace, team.person)
    booking = factories.booking(kind, team.person, datetime.now(UTC) + timedelta(days=3))
    defaults = {
        "state": "failed",
        "attempts": 10,
        "last_error_code": "permission_denied",
        "last_error": "This calendar may only be read.",
    }
    return factories.calendar_write(booking, team.calendar, **(defaults | columns))


def refused_letter(team: Team) -> Mail:
    """A letter that no server takes."""
    return factories.save(
        Mail(
            workspace_id=team.workspace.id,
            kind="confirmed",
            dedupe=f"{team.workspace.id}:x",
            recipient="guest@example.org",
            subject="Confirmed: Intro",
            state="failed",
            attempts=3,
            last_error="The recipient was refused.",
        )
    )


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.STAFF, Role.MANAGER])
def test_lesser_roles_see_none_of_it(api: httpx.Client, database: Database, role: Role) -> None:
    """Running a workspace is for admins and owners."""
    someone = user(role=role)
    for path in (*(f"{ADMIN}/{name}" for name in PATHS), "/api/v1/audit", f"{ADMIN}/jobs"):
        problem(api.get(path, headers=someone.bearer), 403, "forbidden")
    answer = api.post(f"{ADMIN}/dead-letters/retry", json={"all": True}, headers=someone.bearer)
    problem(answer, 403, "forbidden")


def test_connections_with_tokens_and_errors(api: httpx.Client, database: Database) -> None:
    """Those that need somebody come first; no token is shown, only how it stands."""
    team = factories.team(
        access_token="secret-access", access_expires_at=datetime.now(UTC) + timedelta(hours=1)
    )
    dead = factories.connection(
        team.person, team.workspace, status="needs_reconnect", last_error="Access was withdrawn."
    )
    response = api.get(f"{ADMIN}/connections", headers=signed_in(team))
    first, second = response.json()["items"]
    assert (first["connection"]["id"], first["token"]) == (dead.id, "none")
    assert (second["token"], second["person"]) == ("fresh", team.person.name)
    assert "secret-access" not in response.text


def test_channels_by_state(api: httpx.Client, database: Database) -> None:
    """Open, ending and expired ones are told apart."""
    team = factories.team()
    now = datetime.now(UTC)
    for hours in (100, 2, -1):
        factories.save(
            Channel(
                calendar_id=team.calendar.id,
                resource_id="r",
                secret="hush-hush",
                expires_at=now + timedelta(hours=hours),
            )
        )
    response = api.get(f"{ADMIN}/channels", headers=signed_in(team))
    assert [one["state"] for one in response.json()["items"]] == ["expired", "ending", "open"]
    assert "hush-hush" not in response.text


def test_dead_letters_say_why_and_are_retried(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """One or all can be taken up again; the reason and what to do stand beside each, and the trail knows who did it."""
    team = factories.team()
    write, letter = parked_write(team), refused_letter(team)
    headers = signed_in(team)
    found = {one["kind"]: one for one in api.get(f"{ADMIN}/dead-letters", headers=headers).json()["items"]}
    assert found["write"]["reason"] == "This calendar may only be read."
    assert found["write"]["advice"].startswith("Share the calendar")
    assert found["mail"]["reason"] == "The recipient was refused."

    one = api.post(f"{ADMIN}/dead-letters/retry", json={"ids": [f"write:{write.id}"]}, headers=headers)
    assert one.json() == {"retried": 1, "missing": []}
    rest = api.post(f"{ADMIN}/dead-letters/retry", json={"all": True}, headers=headers)
    assert rest.json() == {"retried": 1, "missing": []}
    with reading() as session:
        row, mail = session.get(CalendarWrite, write.id), session.get(Mail, letter.id)
        assert row is not None
        assert mail is not None
        assert (row.state, row.attempts, mail.state, mail.attempts) == ("queued", 0, "queued", 0)
    assert Queue("writes", connection=redis_server).count == 1
    assert Queue("default", connection=redis_server).count == 1
    assert audit_log.list_entries(team.actor).items[0].action == "dead_letters.retried"


def test_one_calendar_of_a_booking_is_retried_by_itself(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """A booking that two calendars refused: "Retry" of one leaves the other where it is, "Retry all" takes both."""
    team = factories.team()
    first = parked_write(team)
    with reading() as session:
        booking = session.get_one(Booking, first.booking_id)
    second = factories.calendar_write(booking, factories.calendar(team.connection), state="failed")

    def states() -> list[str]:
        with reading() as session:
            return [session.get_one(CalendarWrite, row.id).state for row in (first, second)]

    headers = signed_in(team)
    api.post(f"{ADMIN}/dead-letters/retry", json={"ids": [f"write:{first.id}"]}, headers=headers)
    assert states() == ["queued", "failed"]
    rest = api.post(f"{ADMIN}/dead-letters/retry", json={"all": True}, headers=headers)
    assert rest.json() == {"retried": 1, "missing": []}
    assert states() == ["queued", "queued"]


def test_another_workspaces_dead_letters_are_not_there(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """Neither seen nor retried."""
    write = parked_write(factories.team())
    eve = user()
    assert api.get(f"{ADMIN}/dead-letters", headers=eve.bearer).json()["items"] == []
    answer = api.post(f"{ADMIN}/dead-letters/retry", json={"ids": [f"write:{write.id}"]}, headers=eve.bearer)
    assert answer.json() == {"retried": 0, "missing": [f"write:{write.id}"]}
    with reading() as session:
        row = session.get(CalendarWrite, write.id)
        assert row is not None
        assert row.state == "failed"


def test_failed_jobs_are_dead_letters_of_operators(
    api: httpx.Client, database: Database, redis_server: Redis
) -> None:
    """A job that raised is seen with the last line of its stack, and goes back into its queue."""
    queue = Queue("default", connection=redis_server)
    job = queue.enqueue("calendar_app.worker.jobs.send_mail", "no-such-argument", "too many", failure_ttl=600)
    SimpleWorker([queue], connection=redis_server).work(burst=True, logging_level="CRITICAL")
    ada = user()
    (letter,) = api.get(f"{ADMIN}/dead-letters", headers=ada.bearer).json()["items"]
    assert (letter["id"], letter["kind"], letter["title"]) == (f"job:{job.id}", "job", "Send mail")
    assert letter["reason"].startswith("TypeError")
    answer = api.post(f"{ADMIN}/dead-letters/retry", json={"ids": [letter["id"]]}, headers=ada.bearer)
    assert answer.json() == {"retried": 1, "missing": []}
    assert Job.fetch(job.id, connection=redis_server).get_status() == "queued"


def test_jobs_are_for_operators(
    api: httpx.Client, database: Database, redis_server: Redis, configure: Callable[..., Settings]
) -> None:
    """Every owner in development; where OPERATORS is set, those named there and nobody else."""
    ada, bob = user("ada@example.com"), user("bob@example.com")
    Queue("sync", connection=redis_server).enqueue("calendar_app.worker.jobs.sync_calendar", "x")
    state = api.get(f"{ADMIN}/jobs", headers=bob.bearer).json()
    assert [(one["name"], one["waiting"]) for one in state["queues"]] == [
        ("writes", 0),
        ("sync", 1),
        ("default", 0),
        ("webhooks", 0),
    ]
    assert (state["workers"], state["cron_seen_at"]) == ([], None)
    configure(OPERATORS="Ada@Example.com, root@example.com")
    assert api.get(f"{ADMIN}/jobs", headers=ada.bearer).status_code == 200
    problem(api.get(f"{ADMIN}/jobs", headers=bob.bearer), 403, "forbidden")


def test_jobs_without_redis(api: httpx.Client, database: Database) -> None:
    """One sentence instead of a hang."""
    problem(api.get(f"{ADMIN}/jobs", headers=user().bearer), 503, "provider_unavailable")


def test_the_trail_is_paged(database: Database) -> None:
    """Latest first, each entry once, by cursors; another workspace's is not in it."""
    team, other = factories.team(), factories.team()
    for number in range(5):
        with transaction() as session:
            audit_log.record(session, team.workspace.id, team.actor, "thing.done", "thing", f"t{number}")
            audit_log.record(session, other.workspace.id, other.actor, "thing.done", "thing", "foreign")
    seen, after = [], None
    while True:
        page = audit_log.list_entries(team.actor, limit=2, after=after)
        seen += [entry.subject_id for entry in page.items]
        if (after := page.next) is None:
            break
    assert sorted(seen) == [f"t{number}" for number in range(5)]
    assert [entry.subject_id for entry in audit_log.list_entries(team.actor, subject_id="t3").items] == ["t3"]
