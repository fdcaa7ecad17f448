"""Who looks after the installation itself: its queues, workers and health, which no single workspace owns.

An operator is who is named in ``OPERATORS`` or set the installation up; in development, where nobody is named, every
owner of a workspace is one. As
signing up proves no address, nobody signs up with one of these: their accounts are made from the shell
(:mod:`calendar_app.services.accounts.owners`), or by an invitation that arrived there.
"""

from __future__ import annotations

from calendar_app.db.session import reading
from calendar_app.errors import Forbidden
from calendar_app.services.common import installation
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.settings import get_settings


def is_operator(actor: Actor) -> bool:
    """Whether the person may see what is the whole installation's."""
    settings = get_settings()
    if actor.email.lower() in settings.operators:
        return True
    if not (settings.operators or settings.production) and actor.role >= Role.OWNER:
        return True
    with reading() as session:
        row = installation.own(session)
        return row is not None and row.owner_id is not None and row.owner_id == actor.person_id


def require(actor: Actor) -> None:
    """:raises Forbidden: the person is no operator."""
    if not is_operator(actor):
        raise Forbidden("This is for the operators of this installation: see OPERATORS in its settings.")
