"""What other programs are told of connections (:mod:`calendar_app.services.webhooks.messages`)."""

from __future__ import annotations

from dataclasses import asdict

from sqlmodel import Session

from calendar_app.clock import utc_now
from calendar_app.db.tables import Connection
from calendar_app.domain.webhook import WebhookEvent
from calendar_app.services.connections.queries import views
from calendar_app.services.webhooks import messages


def connection_changed(session: Session, row: Connection, event: WebhookEvent) -> None:
    """Tell of a connection as it stands now, in the transaction that changed it and holds its row."""

    def data() -> dict[str, object]:
        session.flush()
        return {"connection": asdict(views(session, [row], utc_now())[0])}

    messages.record(session, row.workspace_id, event, row.id, data)
