"""For those who run a workspace, and for operators: how things stand, what gave up, and who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from calendar_app.api.deps import CurrentActor
from calendar_app.api.fields import Body, Flag, Key, Words
from calendar_app.api.paging import After, IdAfter, Limit, at, cut
from calendar_app.api.problem_codes import fails
from calendar_app.api.routing import Router
from calendar_app.services.common import audit_log
from calendar_app.services.common.audit_log import AuditPage
from calendar_app.services.operations import dashboard as operations_dashboard
from calendar_app.services.operations import failed_items
from calendar_app.services.operations.dashboard import ChannelState, ConnectionState
from calendar_app.services.operations.failed_items import FailedItem, Retried

router = Router(tags=["operations"])


class ConnectionStates(BaseModel):
    """Connections of the workspace, those that need somebody first."""

    items: list[ConnectionState]
    next: str | None = None


class ChannelStates(BaseModel):
    """Push channels of the workspace, those that end first first."""

    items: list[ChannelState]
    next: str | None = None


class DeadLetters(BaseModel):
    """What gave up, latest first."""

    items: list[FailedItem]
    next: str | None = None


class QueueOut(BaseModel):
    """A queue of jobs."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    waiting: int
    running: int
    scheduled: int
    failed: int
    oldest: datetime | None


class WorkerOut(BaseModel):
    """A living worker; ``job`` is what it does now."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    host: str
    pid: int
    queues: list[str]
    state: str
    job: str
    started: datetime | None
    seen: datetime | None
    done: int
    failed: int


class JobsOut(BaseModel):
    """Queues, workers and the clock of the whole installation; ``last_done``: job -> when."""

    queues: list[QueueOut]
    workers: list[WorkerOut]
    cron_seen_at: datetime | None
    last_done: dict[str, datetime]


class RetryIn(Body):
    """Ids of dead letters, or ``all``."""

    ids: list[Key] | None = Field(default=None, max_length=500)
    all: Flag = False


@router.get("/admin/connections")
def list_connection_states(actor: CurrentActor, limit: Limit = 100, after: After = None) -> ConnectionStates:
    """Every connection with its token and errors; admins and owners."""
    found = operations_dashboard.connections(actor)
    items, more = cut(
        found,
        limit,
        after,
        lambda one: (operations_dashboard.urgency(one), at(one.connection.created_at), one.connection.id),
    )
    return ConnectionStates(items=items, next=more)


@router.get("/admin/channels")
def list_push_channels(actor: CurrentActor, limit: Limit = 100, after: After = None) -> ChannelStates:
    """Push channels; admins and owners."""
    found = operations_dashboard.channels(actor)
    items, more = cut(found, limit, after, lambda one: (at(one.expires_at), one.id))
    return ChannelStates(items=items, next=more)


@router.get("/admin/jobs", responses=fails("provider_unavailable"))
def get_jobs(actor: CurrentActor) -> JobsOut:
    """Queues and workers of the whole installation; operators."""
    state = operations_dashboard.jobs(actor)
    return JobsOut(
        queues=[QueueOut.model_validate(one) for one in state.queues],
        workers=[WorkerOut.model_validate(one) for one in state.workers],
        cron_seen_at=state.cron_seen_at,
        last_done=dict(state.ran),
    )


@router.get("/admin/dead-letters")
def list_dead_letters(actor: CurrentActor, limit: Limit = 100, after: After = None) -> DeadLetters:
    """Calendar writes and letters that gave up, and for operators failed jobs; admins and owners."""
    found = failed_items.failed_items(actor)
    items, more = cut(found, limit, after, lambda one: (at(one.at), one.id), newest_first=True)
    return DeadLetters(items=items, next=more)


@router.post("/admin/dead-letters/retry")
def retry_dead_letters(actor: CurrentActor, body: RetryIn) -> Retried:
    """Take them up again from the first try: those named, or with `{"all": true}` all of them."""
    return failed_items.retry(actor, None if body.all else body.ids or [])


@router.get("/audit")
def list_audit(
    actor: CurrentActor,
    subject_type: Annotated[Key, Query(description="For example `booking` or `connection`")] = "",
    subject_id: Annotated[Key, Query()] = "",
    person: Annotated[Words, Query(description="An e-mail address")] = "",
    limit: Annotated[int, Query(ge=1, le=audit_log.MOST)] = 50,
    after: IdAfter = None,
) -> AuditPage:
    """Who did what, latest first; admins and owners."""
    return audit_log.list_entries(
        actor, subject_type=subject_type, subject_id=subject_id, person=person, limit=limit, after=after
    )
